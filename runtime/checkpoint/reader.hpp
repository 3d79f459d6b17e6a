#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/checkpoint/folders.hpp"
#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr const char* kManifestHashFile = "manifest.json.sha256";

// A committed checkpoint, opened for reading by box: any layout reads from any other.
// Threads: one at a time. Two readers may be used from two threads.
class CheckpointReader {
 public:
  // Checks the manifest against its SHA-256, the format version, and every shard's presence and size.
  // Throws CheckpointError::Kind::kInvalid.
  explicit CheckpointReader(const std::filesystem::path& folder);
  ~CheckpointReader();
  CheckpointReader(const CheckpointReader&) = delete;
  CheckpointReader& operator=(const CheckpointReader&) = delete;
  CheckpointReader(CheckpointReader&& other) noexcept;
  CheckpointReader& operator=(CheckpointReader&& other) noexcept;

  const Manifest& manifest() const noexcept;
  bool has(std::string_view tensor) const;
  // Throws CheckpointError::Kind::kInvalid when there is no such tensor.
  const std::vector<std::int64_t>& shape(std::string_view tensor) const;

  // The values of a box of a logical tensor, row-major, from whatever boxes were written. A shard file's
  // hash is checked before HDF5 parses it, and a piece's hash after it was read. Throws CheckpointError,
  // and std::invalid_argument when out.size() is not the box's elements; what stands in `out` then is not
  // to be used.
  //
  // Cost: a shard file is hashed once, when something in it is first read, and again only when it was
  // written to meanwhile. A piece is read and hashed as a whole even when only a part is wanted; the last
  // such pieces, up to 256 MiB of them, are kept for the boxes beside it. Pieces that are not touched cost
  // nothing.
  void read(std::string_view tensor, const Box& box, std::span<float> out);

  // The same for elements [begin, begin + out.size()) of the flat logical tensor, which may be none.
  void read(std::string_view tensor, std::int64_t begin, std::span<float> out);

  // Reads and checks all there is: what is wrong, at most one message per shard. Empty when sound.
  std::vector<std::string> problems();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// What is wrong with a checkpoint: every hash checked, an empty list when sound.
std::vector<std::string> verify_checkpoint(const std::filesystem::path& folder);

// The newest checkpoint that opens and verifies; each damaged one that was passed over is told to
// `skipped`. Nothing when there is none. A damaged index.h5 is no reason to pass over: it is not read.
std::optional<CheckpointInfo> newest_valid_checkpoint(const std::filesystem::path& root,
                                                      std::vector<std::string>& skipped);

}  // namespace fulgur
