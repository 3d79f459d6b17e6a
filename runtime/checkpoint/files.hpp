#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "kernels/unique_handle.hpp"
#include "runtime/checkpoint/manifest.hpp"

namespace fulgur {

// Files with every status checked. What fails throws CheckpointError: kIo when the system failed,
// kInvalid when what is there is not what was expected (missing, too short, a link, a device).

struct FileHandleTraits {
  using Handle = int;
  static constexpr Handle none = -1;
  // Nothing is lost when it fails: what must last was synced before.
  static void release(Handle file) noexcept;
};
using FileHandle = UniqueHandle<FileHandleTraits>;

// Throws kIo with the text of errno.
[[noreturn]] void fail_io(const std::filesystem::path& path, const char* operation);
[[noreturn]] void fail_invalid(const std::filesystem::path& path, const std::string& reason);

// A regular file for reading; a symbolic link is refused.
FileHandle open_regular(const std::filesystem::path& path);
std::int64_t size_of(const FileHandle& file, const std::filesystem::path& path);
// Which file it is, and in which state: equal as long as nobody writes to it.
struct FileFacts {
  std::uint64_t device = 0, inode = 0;
  std::int64_t size = 0, modified = 0, changed = 0;  // times in ns

  friend bool operator==(const FileFacts&, const FileFacts&) = default;
};
FileFacts facts_of(const FileHandle& file, const std::filesystem::path& path);
void read_at(const FileHandle& file, const std::filesystem::path& path, std::int64_t offset,
             std::span<std::byte> out);
// XXH3-128 of a whole file.
std::string hash_of(const FileHandle& file, const std::filesystem::path& path);
std::string read_text(const std::filesystem::path& path, std::int64_t max_bytes);

// A new file for writing; it must not exist.
FileHandle create_file(const std::filesystem::path& path);
void write_at(const FileHandle& file, const std::filesystem::path& path, std::int64_t offset,
              std::span<const std::byte> bytes);
void sync(const FileHandle& file, const std::filesystem::path& path);
void sync_folder(const std::filesystem::path& folder);
// Replaces `path` by a file with this text, durable but for its name in the folder.
void write_text(const std::filesystem::path& path, std::string_view text);

void create_folders(const std::filesystem::path& folder);
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);
// A file, or a folder with all that is in it; fine when there is none.
void remove_path(const std::filesystem::path& path);

// Throws kIo when the file system of `folder` has less than 1.1 times `bytes` left: better before
// writing than in the middle of it.
void require_space(const std::filesystem::path& folder, std::int64_t bytes);

// Removes a file at the end of a scope, unless it was kept.
class RemoveUnlessKept {
 public:
  explicit RemoveUnlessKept(std::filesystem::path path);
  ~RemoveUnlessKept();
  RemoveUnlessKept(const RemoveUnlessKept&) = delete;
  RemoveUnlessKept& operator=(const RemoveUnlessKept&) = delete;
  void keep() noexcept { keep_ = true; }

 private:
  std::filesystem::path path_;
  bool keep_ = false;
};

}  // namespace fulgur
