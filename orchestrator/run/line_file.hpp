#pragma once

#include <filesystem>
#include <string_view>

#include "cluster/launch/unique_fd.hpp"

namespace fulgur {

// A file that grows by whole lines; each is in the file when append() returns.
class LineFile {
 public:
  // Throws std::system_error.
  explicit LineFile(std::filesystem::path path);

  // Throws std::system_error; a part of the line may be in the file then.
  void append(std::string_view line);

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
};

}  // namespace fulgur
