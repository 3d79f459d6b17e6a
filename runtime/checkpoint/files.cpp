#include "runtime/checkpoint/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "runtime/checkpoint/hash.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Kind = CheckpointError::Kind;

constexpr std::size_t kHashPart = std::size_t{4} << 20;  // bytes that are read at once for a hash
constexpr double kSpaceFactor = 1.1;

std::string error_text(int error) {
  return std::generic_category().message(error);
}

void check_filesystem(const fs::path& path, const char* operation, const std::error_code& error) {
  if (error)
    throw CheckpointError(
        Kind::kIo, fmt::format("{}: cannot {}: {}", path.string(), operation, error.message()));
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

void FileHandleTraits::release(Handle file) noexcept {
  ::close(file);
}

void fail_io(const fs::path& path, const char* operation) {
  throw CheckpointError(
      Kind::kIo, fmt::format("{}: cannot {}: {}", path.string(), operation, error_text(errno)));
}

void fail_invalid(const fs::path& path, const std::string& reason) {
  throw CheckpointError(Kind::kInvalid, fmt::format("{}: {}", path.string(), reason));
}

FileHandle open_regular(const fs::path& path) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  FileHandle file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) fail_invalid(path, "the file is missing");
    if (errno == ELOOP) fail_invalid(path, "expected a file, got a symbolic link");
    fail_io(path, "open");
  }
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) fail_io(path, "stat");
  if (!S_ISREG(facts.st_mode)) fail_invalid(path, "expected a regular file");
  return file;
}

FileFacts facts_of(const FileHandle& file, const fs::path& path) {
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) fail_io(path, "stat");
  return {.device = facts.st_dev,
          .inode = facts.st_ino,
          .size = facts.st_size,
          .modified = nanoseconds(facts.st_mtim),
          .changed = nanoseconds(facts.st_ctim)};
}

std::int64_t size_of(const FileHandle& file, const fs::path& path) {
  return facts_of(file, path).size;
}

void read_at(const FileHandle& file, const fs::path& path, std::int64_t offset,
             std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::pread(file.get(), out.data(), out.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io(path, "read");
    if (got == 0) fail_invalid(path, "the file is shorter than expected");
    out = out.subspan(static_cast<std::size_t>(got));
    offset += got;
  }
}

std::string hash_of(const FileHandle& file, const fs::path& path) {
  const auto size = size_of(file, path);
  std::vector<std::byte> part(std::min(kHashPart, static_cast<std::size_t>(size)));
  Xxh128 hash;
  for (std::int64_t at = 0; at < size;) {
    const auto bytes =
        std::span(part).first(std::min(part.size(), static_cast<std::size_t>(size - at)));
    read_at(file, path, at, bytes);
    hash.update(bytes);
    at += static_cast<std::int64_t>(bytes.size());
  }
  return hash.hex();
}

std::string read_text(const fs::path& path, std::int64_t max_bytes) {
  const auto file = open_regular(path);
  const auto size = size_of(file, path);
  if (size > max_bytes)
    fail_invalid(path, fmt::format("expected at most {} bytes, got {}", max_bytes, size));
  std::string text(static_cast<std::size_t>(size), '\0');
  read_at(file, path, 0, std::as_writable_bytes(std::span(text)));
  return text;
}

FileHandle create_file(const fs::path& path) {
  FileHandle file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) fail_io(path, "create");
  return file;
}

void write_at(const FileHandle& file, const fs::path& path, std::int64_t offset,
              std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(file.get(), bytes.data(), bytes.size(), offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail_io(path, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(done));
    offset += done;
  }
}

void sync(const FileHandle& file, const fs::path& path) {
  if (::fsync(file.get()) != 0) fail_io(path, "fsync");
}

void sync_folder(const fs::path& folder) {
  const FileHandle file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file) fail_io(folder, "open");
  sync(file, folder);
}

void write_text(const fs::path& path, std::string_view text) {
  remove_path(path);
  RemoveUnlessKept guard(path);
  const auto file = create_file(path);
  write_at(file, path, 0, std::as_bytes(std::span(text)));
  sync(file, path);
  guard.keep();
}

void create_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check_filesystem(folder, "create the folder", error);
}

void rename_path(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  check_filesystem(from, ("rename to " + to.string()).c_str(), error);
}

void remove_path(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  check_filesystem(path, "remove", error);
}

void require_space(const fs::path& folder, std::int64_t bytes) {
  struct statvfs facts {};
  if (::statvfs(folder.c_str(), &facts) != 0) fail_io(folder, "ask for the space left");
  const double available =
      static_cast<double>(facts.f_bavail) * static_cast<double>(facts.f_frsize);
  const double wanted = kSpaceFactor * static_cast<double>(bytes);
  if (available < wanted) {
    throw CheckpointError(
        Kind::kIo, fmt::format("{}: not enough space: {:.0f} bytes are needed, {:.0f} are left",
                               folder.string(), wanted, available));
  }
}

RemoveUnlessKept::RemoveUnlessKept(fs::path path) : path_(std::move(path)) {}

RemoveUnlessKept::~RemoveUnlessKept() {
  if (!keep_) ::unlink(path_.c_str());  // the failure that led here is what the caller hears of
}

}  // namespace fulgur
