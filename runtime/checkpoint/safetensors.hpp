#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// The format in which Hugging Face stores tensors: the length of a header (8 bytes, little endian), the
// header (JSON: dtype, shape and place of every tensor), and the values. A file is read with plain reads,
// not mapped: a file that somebody cuts short ends in an error, not in a signal.

enum class SafetensorsType {
  kFloat64,
  kFloat32,
  kFloat16,
  kBFloat16,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUInt8,
  kBool
};

struct SafetensorsEntry {
  SafetensorsType type = SafetensorsType::kFloat32;
  std::vector<std::int64_t> shape;
  std::size_t file = 0;     // of the reader's files
  std::int64_t offset = 0;  // into the file, in bytes
  std::int64_t count = 0;   // elements
};

// All tensors of one file, or of a model that is cut into several.
class SafetensorsReader {
 public:
  // `path` is a file, or a folder with model.safetensors or with model.safetensors.index.json and the
  // files it names. Every place is checked against the size of its file: no overlap, no gap. Throws
  // CheckpointError with the file and the tensor.
  explicit SafetensorsReader(const std::filesystem::path& path);

  const std::map<std::string, SafetensorsEntry, std::less<>>& tensors() const noexcept {
    return tensors_;
  }
  bool has(std::string_view name) const { return tensors_.contains(name); }
  // Throws CheckpointError::Kind::kInvalid when there is no such tensor.
  const SafetensorsEntry& entry(std::string_view name) const;

  // Elements [begin, begin + out.size()) of a tensor of floating-point numbers; float64 is rounded.
  // Throws CheckpointError::Kind::kInvalid for integers and for elements beyond the end.
  void read(std::string_view name, std::int64_t begin, std::span<float> out) const;
  std::vector<float> floats(std::string_view name) const;
  // The same for tensors of integers.
  std::vector<std::int64_t> integers(std::string_view name) const;

  // Where a tensor is, for messages.
  const std::filesystem::path& path_of(std::string_view name) const;

 private:
  struct Source {
    std::filesystem::path path;
    FileHandle file;
  };
  std::size_t add_file(const std::filesystem::path& path);
  void add_indexed_files(const std::filesystem::path& index);
  std::vector<std::byte> bytes_of(std::string_view name, std::int64_t begin,
                                  std::int64_t count) const;

  std::filesystem::path path_;
  std::vector<Source> sources_;
  std::map<std::string, SafetensorsEntry, std::less<>> tensors_;
};

// Writes one file of float32 tensors, tensor by tensor in the order given. The file is removed again
// unless finish() returned.
class SafetensorsWriter {
 public:
  // Throws CheckpointError::Kind::kIo; the file must not exist.
  SafetensorsWriter(const std::filesystem::path& path, std::span<const TensorRecord> tensors);

  // The next values, in any portions. Throws std::invalid_argument when there are too many.
  void append(std::span<const float> values);
  // Makes the file durable. Throws std::invalid_argument when values are missing.
  void finish();

 private:
  std::filesystem::path path_;
  FileHandle file_;
  RemoveUnlessKept guard_;
  std::int64_t at_ = 0, end_ = 0;  // bytes of the file
};

}  // namespace fulgur
