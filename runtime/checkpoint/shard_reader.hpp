#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/hdf5.hpp"
#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// One shard file, opened for reading after its size and its hash were found right. Keeps the file open,
// so that what was hashed is what is read. Throws CheckpointError.
class ShardReader {
 public:
  // A file that is still in the state `verified`, in which its hash was right
  // before, is not hashed again; `verified` is the state of the file afterwards.
  ShardReader(const std::filesystem::path& folder, const ShardRecord& record, FileFacts& verified);

  // The values of a piece of this shard; out has as many. Their hash is checked.
  void read(const PieceRecord& piece, std::span<float> out);

 private:
  hid_t dataset(const std::string& name);

  std::filesystem::path path_;
  FileHandle file_;
  Hdf5Object hdf5_;
  std::map<std::string, Hdf5Object, std::less<>> datasets_;  // closed before hdf5_
};

}  // namespace fulgur
