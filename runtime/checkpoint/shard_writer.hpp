#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/hash.hpp"
#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// A box of a logical tensor, without its values. The part of the name before the first '/' is the
// kind of the tensor ("model", "exp_avg", "exp_avg_sq").
struct PieceRange {
  std::string tensor;
  Box box;
};

// A box with more elements is written as several pieces: who reads a part of it then reads, hashes and
// keeps no more than that much beside it.
inline constexpr std::int64_t kMaxPieceElements = std::int64_t{4} << 20;  // x 4 B = 16 MiB

// Writes one shard piece by piece, for a writer that does not have all values at once.
//
// HDF5 only lays the file out: one flat dataset per kind, the pieces of a kind one behind the other. Then
// the file is closed and the values are written straight to the datasets' places, in large writes, and
// hashed from memory before. All statuses are checked; what fails throws CheckpointError::Kind::kIo. The
// file is removed again unless finish() returned.
class ShardWriter {
 public:
  // Makes the folder if it is missing, replaces the shard if it is there, and refuses to start on a file
  // system without the space. Throws std::invalid_argument for a rank below 0, a tensor without kind or
  // an impossible box; empty boxes are left out.
  ShardWriter(const std::filesystem::path& folder, int rank, std::span<const PieceRange> ranges,
              std::int64_t max_piece_elements = kMaxPieceElements);

  // The next values: in the order of the ranges, row-major in each, in any portions.
  void append(std::span<const float> values);

  // Makes the file durable. Throws std::invalid_argument when values are missing.
  ShardRecord finish();

 private:
  void lay_out();

  std::filesystem::path path_;
  ShardRecord record_;
  std::vector<std::int64_t> places_;  // of each piece in the file, in bytes
  RemoveUnlessKept guard_;
  FileHandle file_;
  std::size_t piece_ = 0;     // being written
  std::int64_t written_ = 0;  // elements of it
  Xxh128 hash_;
};

}  // namespace fulgur
