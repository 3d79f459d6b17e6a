#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace fulgur::test {

inline std::filesystem::path source_directory() {
  return FULGUR_SOURCE_DIR;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// A recipe that loads, from a folder with a file "text.txt".
inline const std::string kGoodRecipe = R"(name: good
model:
  vocabulary: 264
  layers: 4
  hidden: 64
  heads: 4
  experts: 4
  expert_hidden: 48
data:
  files: [text.txt]
train:
  steps: 20
  sequence_length: 128
  batch: 8
optimizer:
  learning_rate: {peak: 1e-3}
)";

}  // namespace fulgur::test
