#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/checkpoint/boxes.hpp"
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

// The values of a box of a tensor, element by element.
inline std::vector<float> values_in(std::span<const std::int64_t> shape, const Box& box,
                                    std::span<const float> all) {
  std::vector<float> values;
  auto at = box.start;
  for (auto rest = box.elements(); rest > 0; --rest) {
    std::int64_t flat = 0;
    for (std::size_t dim = 0; dim < shape.size(); ++dim)
      flat = flat * shape[dim] + at[dim];
    values.push_back(all[static_cast<std::size_t>(flat)]);
    for (auto dim = shape.size(); dim-- > 0;) {
      if (++at[dim] < box.start[dim] + box.count[dim]) break;
      at[dim] = box.start[dim];
    }
  }
  return values;
}

// What one rank has of one tensor, by the number of the tensor.
struct Share {
  std::size_t tensor = 0;
  Box box;
};

// Writes one shard per rank, with values_of() in the boxes.
inline Manifest write_shares(const fs::path& folder, const std::vector<TensorRecord>& tensors,
                             const std::vector<std::vector<Share>>& shares, std::int64_t step) {
  Manifest manifest{.step = step, .tokens = 64 * step, .tensors = tensors};
  for (std::size_t rank = 0; rank < shares.size(); ++rank) {
    std::vector<std::vector<float>> values;
    std::vector<Piece> pieces;
    values.reserve(shares[rank].size());
    for (const auto& [number, box] : shares[rank]) {
      const auto& tensor = tensors[number];
      values.push_back(values_in(tensor.shape, box, values_of(tensor, step)));
      pieces.push_back({tensor.name, box, values.back()});
    }
    manifest.shards.push_back(write_shard(folder, static_cast<int>(rank), pieces));
  }
  return manifest;
}

// The same for some_tensors(); every rank has an equal range of every tensor, as far as that goes.
inline Manifest write_shards(const fs::path& folder, int ranks, std::int64_t step) {
  std::vector<std::vector<Share>> shares(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) {
    for (std::size_t tensor = 0; tensor < some_tensors().size(); ++tensor) {
      const auto count = element_count(some_tensors()[tensor]);
      for (auto& box :
           boxes(some_tensors()[tensor].shape, count * rank / ranks, count * (rank + 1) / ranks))
        shares[static_cast<std::size_t>(rank)].push_back({tensor, std::move(box)});
    }
  }
  return write_shares(folder, some_tensors(), shares, step);
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
