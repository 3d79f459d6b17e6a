#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/checkpoint/reader.hpp"
#include "runtime/checkpoint/writer.hpp"

namespace fulgur::test {

namespace fs = std::filesystem;

// Three tensors whose values are a formula of name, step and element, saved by any number of ranks.
inline const std::vector<TensorRecord>& some_tensors() {
  static const std::vector<TensorRecord> tensors = {{"model/layers.0.attention.qkv", {4, 3, 5, 7}},
                                                    {"model/final_norm", {13}},
                                                    {"exp_avg/final_norm", {13}}};
  return tensors;
}

inline std::vector<float> values_of(const TensorRecord& tensor, std::int64_t step) {
  std::vector<float> values(static_cast<std::size_t>(element_count(tensor)));
  const auto base = static_cast<float>(tensor.name.size()) * 1000 + static_cast<float>(step) / 64;
  std::iota(values.begin(), values.end(), base);
  return values;
}

// Writes the shards of all ranks; every rank has an equal range of every tensor, as far as that goes.
inline Manifest write_shards(const fs::path& folder, int ranks, std::int64_t step) {
  Manifest manifest{.step = step, .samples = 8 * step, .tokens = 64 * step};
  manifest.tensors = some_tensors();
  for (int rank = 0; rank < ranks; ++rank) {
    std::vector<std::vector<float>> values;
    std::vector<Piece> pieces;
    values.reserve(some_tensors().size());
    for (const auto& tensor : some_tensors()) {
      const auto count = element_count(tensor);
      const auto begin = count * rank / ranks, end = count * (rank + 1) / ranks;
      const auto all = values_of(tensor, step);
      values.emplace_back(all.begin() + begin, all.begin() + end);
      pieces.push_back({tensor.name, begin, end, values.back()});
    }
    manifest.shards.push_back(write_shard(folder, rank, pieces));
  }
  return manifest;
}

inline fs::path save(const fs::path& root, std::int64_t step, int ranks = 3,
                     std::int64_t keep = 100) {
  const auto staging = staging_folder(root, step);
  return commit_checkpoint(root, staging, write_shards(staging, ranks, step), keep);
}

inline std::vector<float> read_all(CheckpointReader& reader, const TensorRecord& tensor) {
  std::vector<float> values(static_cast<std::size_t>(element_count(tensor)));
  reader.read(tensor.name, 0, values);
  return values;
}

// Whether all values are those that save() wrote.
inline bool holds(const fs::path& folder, std::int64_t step) {
  CheckpointReader reader(folder);
  if (reader.manifest().step != step) return false;
  for (const auto& tensor : some_tensors()) {
    if (read_all(reader, tensor) != values_of(tensor, step)) return false;
  }
  return true;
}

inline std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  REQUIRE(file.flush());
}

// The message and the kind of the CheckpointError that `action` ends in.
struct Refusal {
  CheckpointError::Kind kind;
  std::string message;

  bool says(const std::string& part) const { return message.find(part) != std::string::npos; }
};
inline Refusal refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const CheckpointError& error) {
    return {error.kind(), error.what()};
  }
  FAIL("expected a CheckpointError");
  return {};
}

}  // namespace fulgur::test
