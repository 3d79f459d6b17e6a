#include "runtime/checkpoint/folders.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

#include "runtime/checkpoint/files.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Kind = CheckpointError::Kind;

constexpr std::string_view kStep = "step-", kTemporary = ".tmp-", kReplaced = ".tmp-replaced-",
                           kRemoved = ".tmp-removed-";
constexpr std::size_t kDigits = 10;

std::string step_name(std::int64_t step) {
  return fmt::format("step-{:010}", step);
}

std::optional<std::int64_t> step_of(std::string_view name) {
  if (!name.starts_with(kStep)) return std::nullopt;
  name.remove_prefix(kStep.size());
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(name.begin(), name.end(), step);
  if (error != std::errc() || end != name.end() || name.size() < kDigits || step < 0)
    return std::nullopt;
  return step;
}

// The names in a folder; none when there is no folder.
std::vector<fs::path> entries(const fs::path& root) {
  std::vector<fs::path> found;
  std::error_code error;
  auto at = fs::directory_iterator(root, error);
  if (error == std::errc::no_such_file_or_directory) return found;
  for (; !error && at != fs::directory_iterator(); at.increment(error))
    found.push_back(at->path());
  if (error) {
    throw CheckpointError(
        Kind::kIo, fmt::format("{}: cannot list the folder: {}", root.string(), error.message()));
  }
  return found;
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() == fs::file_type::directory;
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

// False when the file system cannot exchange two names.
bool exchange(const fs::path& a, const fs::path& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) fail_io(a, "exchange");
  return false;
}

}  // namespace

fs::path staging_folder(const fs::path& root, std::int64_t step) {
  return root / (std::string(kTemporary) + step_name(step));
}

fs::path checkpoint_folder(const fs::path& root, std::int64_t step) {
  return root / step_name(step);
}

std::vector<CheckpointInfo> list_checkpoints(const fs::path& root) {
  std::vector<CheckpointInfo> found;
  for (const auto& path : entries(root)) {
    const auto step = step_of(path.filename().string());
    if (step && is_folder(path)) found.push_back({path, *step});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.step != b.step ? a.step < b.step : a.path < b.path;
  });
  return found;
}

std::vector<std::string> remove_leftovers(const fs::path& root) {
  std::vector<std::string> names;
  for (const auto& path : entries(root)) {
    const auto name = path.filename().string();
    if (!name.starts_with(kTemporary)) continue;
    const bool replaced = name.starts_with(kReplaced);
    const auto home = root / name.substr(replaced ? kReplaced.size() : 0);
    if (replaced && step_of(home.filename().string()) && !is_there(home)) {
      rename_path(path, home);
      sync_folder(root);
      continue;
    }
    remove_path(path);
    names.push_back(name);
  }
  return names;
}

fs::path publish(const fs::path& root, const fs::path& staging, std::int64_t step) {
  auto home = checkpoint_folder(root, step);
  auto old = staging;
  if (!is_there(home)) {
    rename_path(staging, home);
    sync_folder(root);
    return home;
  }
  if (!exchange(staging, home)) {
    old = root / (std::string(kReplaced) + step_name(step));
    remove_path(old);
    rename_path(home, old);
    rename_path(staging, home);
  }
  sync_folder(root);
  std::error_code stays;  // the commit is done; remove_leftovers() takes what stays of the old one
  fs::remove_all(old, stays);
  return home;
}

void remove_checkpoint(const fs::path& root, const CheckpointInfo& checkpoint) {
  const auto doomed = root / (std::string(kRemoved) + checkpoint.path.filename().string());
  remove_path(doomed);
  rename_path(checkpoint.path, doomed);
  remove_path(doomed);
}

}  // namespace fulgur
