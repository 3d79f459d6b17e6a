#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "recipes/data_order.hpp"
#include "runtime/checkpoint/boxes.hpp"

namespace fulgur {

// A checkpoint that cannot be written, or cannot be trusted. The message names the path and the tensor.
class CheckpointError : public std::runtime_error {
 public:
  enum class Kind { kInvalid, kIo };  // damaged or not ours; the disk failed
  CheckpointError(Kind kind, const std::string& message)
      : std::runtime_error(message), kind_(kind) {}
  Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

inline constexpr int kCheckpointFormat = 3;

// A box of a logical tensor, where it lies in a shard file, and its hash.
struct PieceRecord {
  std::string tensor;       // "model/layers.3.attention.qkv", "exp_avg/...", "exp_avg_sq/..."
  Box box;                  // of the logical tensor
  std::string dataset;      // in the shard file
  std::int64_t offset = 0;  // elements into the dataset
  std::string xxh128;       // hex, of the values in memory before writing
};

struct ShardRecord {
  std::string file;  // "shard-00000.h5"
  std::int64_t bytes = 0;
  std::string xxh128;  // of the file
  std::vector<PieceRecord> pieces;
};

struct TensorRecord {
  std::string name;
  std::vector<std::int64_t> shape;
};

// What a checkpoint is: written as manifest.json. All tensors are float32. docs/formats/checkpoint.md
// describes the text.
struct Manifest {
  int format = kCheckpointFormat;
  std::int64_t step = 0;
  std::string created;        // UTC, "2026-01-31T12:00:00Z"; the commit fills it in
  std::string job;            // canonical JSON of the Job
  std::string identity_hash;  // of the part of the Job that a resume may not change
  std::int64_t tokens = 0;    // seen
  DataCursor data;            // where the data go on; no sources: it was not trained here
  std::vector<TensorRecord> tensors;
  std::vector<ShardRecord> shards;
  ShardRecord index;  // index.h5, without pieces; the commit fills it in
};

// One line of JSON without spaces. manifest_from_json(to_json(m)) is m.
std::string to_json(const Manifest& manifest);

// Checks the types and the format version, and nothing that needs other files: a manifest on its way to
// the commit, without shards, is fine too. Throws CheckpointError::Kind::kInvalid; `path` is for the
// message.
Manifest manifest_from_json(const std::string& text, const std::filesystem::path& path);

// Whether the parts of a manifest fit together: names that are unique and stay inside the folder and
// the file, shapes that can be counted, pieces inside their tensors. Throws
// CheckpointError::Kind::kInvalid.
void check_manifest(const Manifest& manifest, const std::filesystem::path& path);

// Elements of a tensor whose shape check_manifest() has passed.
std::int64_t element_count(const TensorRecord& tensor);

}  // namespace fulgur
