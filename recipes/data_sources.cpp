#include "recipes/data_sources.hpp"

namespace fulgur {

bool sources_have_all(const DataSourcesSpec& sources) {
  return sources.files.size() == sources.name.size() &&
         sources.weight.size() == sources.name.size();
}

std::vector<DataSource> data_sources(const DataSpec& data) {
  const auto& given = data.sources;
  if (given.name.empty())
    return {
        {.name = kPlainSource, .files = data.files, .document_separator = data.document_separator}};
  std::vector<DataSource> sources;
  for (std::size_t i = 0; i < given.name.size(); ++i)
    sources.push_back({.name = given.name[i],
                       .files = given.files[i],
                       .document_separator = data.document_separator,
                       .weight = given.weight[i]});
  return sources;
}

}  // namespace fulgur
