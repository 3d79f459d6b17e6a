#pragma once

#include <string>
#include <vector>

#include "recipes/job.hpp"

namespace fulgur {

// What the plain list data.files is called where sources have names.
inline constexpr const char* kPlainSource = "data";

// One of the texts that training takes samples of.
struct DataSource {
  std::string name;
  std::vector<std::string> files;
  std::string document_separator;
  double weight = 1;
};

// Sources are lists of one length, which the rules demand first.
bool sources_have_all(const DataSourcesSpec& sources);

// The sources of a job, in their order; data.files make one of the name "data".
std::vector<DataSource> data_sources(const DataSpec& data);

}  // namespace fulgur
