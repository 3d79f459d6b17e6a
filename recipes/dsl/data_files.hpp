#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "recipes/diagnostic.hpp"

namespace fulgur {

struct FilePattern {
  std::string pattern;
  std::filesystem::path folder;  // what a relative pattern is relative to
  Position position;
};

// The files that the patterns match and no exclusion does: absolute, sorted, each once. Directories
// among the matches are passed over. What cannot be trained on (E0234: a pattern without a match; E0235: a
// file that cannot be opened, or is empty) is added to `problems` with the pattern's position.
std::vector<std::string> find_data_files(const std::vector<FilePattern>& patterns,
                                         const std::vector<std::string>& exclude,
                                         Problems& problems);

}  // namespace fulgur
