#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// A committed checkpoint, opened for reading by logical range: any layout reads from any other.
class CheckpointReader {
 public:
  // Checks the manifest against its SHA-256, the format version, and every shard's presence and size.
  // Throws CheckpointError::Kind::kInvalid.
  explicit CheckpointReader(const std::filesystem::path& folder);
  ~CheckpointReader();

  const Manifest& manifest() const noexcept;
  bool has(std::string_view tensor) const;

  // Elements [begin, begin + out.size()) of the flat logical tensor. A shard file's hash is checked
  // before HDF5 parses it, and a piece's hash after it was read. Throws CheckpointError.
  void read(std::string_view tensor, std::int64_t begin, std::span<float> out);
};

// What is wrong with a checkpoint: every hash checked, an empty list when sound.
std::vector<std::string> verify_checkpoint(const std::filesystem::path& folder);

struct CheckpointInfo {
  std::filesystem::path path;
  std::int64_t step = 0;
};
// The committed checkpoints below root, oldest first; folders being written are not among them.
std::vector<CheckpointInfo> list_checkpoints(const std::filesystem::path& root);

// The newest checkpoint that opens and verifies; each damaged one that was passed over is told to
// `skipped`. Nothing when there is none.
std::optional<CheckpointInfo> newest_valid_checkpoint(const std::filesystem::path& root, std::vector<std::string>& skipped);

}  // namespace fulgur
