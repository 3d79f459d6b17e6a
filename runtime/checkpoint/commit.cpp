#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>

#include "runtime/checkpoint/coverage.hpp"
#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/hash.hpp"
#include "runtime/checkpoint/index.hpp"
#include "runtime/checkpoint/reader.hpp"
#include "runtime/checkpoint/writer.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Kind = CheckpointError::Kind;

std::string now_utc() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

void check_sizes(const fs::path& staging, const Manifest& manifest) {
  for (const auto& shard : manifest.shards) {
    const auto path = staging / shard.file;
    const auto size = size_of(open_regular(path), path);
    if (size != shard.bytes)
      fail_invalid(path, fmt::format("expected {} bytes, got {}", shard.bytes, size));
  }
}

void remove_strangers(const fs::path& staging, const Manifest& manifest) {
  std::set<std::string, std::less<>> ours;
  for (const auto& shard : manifest.shards)
    ours.insert(shard.file);
  std::vector<fs::path> strangers;
  std::error_code error;
  for (auto at = fs::directory_iterator(staging, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    if (!ours.contains(at->path().filename().string())) strangers.push_back(at->path());
  }
  if (error)
    throw CheckpointError(Kind::kIo, staging.string() + ": cannot list: " + error.message());
  for (const auto& stranger : strangers)
    remove_path(stranger);
}

void write_manifest(const fs::path& staging, const Manifest& manifest) {
  const auto text = to_json(manifest) + "\n";
  write_text(staging / kManifestFile, text);
  write_text(staging / kManifestHashFile, sha256(text) + "\n");
}

void write_latest(const fs::path& root, const fs::path& home) {
  const auto temporary = root / ".tmp-latest";
  write_text(temporary, home.filename().string() + "\n");
  rename_path(temporary, root / "latest");
}

bool opens(const CheckpointInfo& checkpoint) {
  try {
    const CheckpointReader reader(checkpoint.path);
    return true;
  } catch (const CheckpointError&) {
    return false;
  }
}

// Those that do not open stay as long as they are not older than what is kept: people may want to look.
void remove_old(const fs::path& root, std::int64_t newest, std::int64_t keep) {
  auto checkpoints = list_checkpoints(root);
  std::reverse(checkpoints.begin(), checkpoints.end());
  std::int64_t kept = 1;  // the new one
  for (const auto& checkpoint : checkpoints) {
    if (checkpoint.step >= newest) continue;
    if (kept >= keep) {
      remove_checkpoint(root, checkpoint);
    } else if (opens(checkpoint)) {
      ++kept;
    }
  }
}

}  // namespace

fs::path commit_checkpoint(const fs::path& root, const fs::path& staging, const Manifest& manifest,
                           std::int64_t keep) {
  if (keep < 1)
    throw std::invalid_argument(fmt::format("commit_checkpoint: cannot keep {} checkpoints", keep));
  auto complete = manifest;
  complete.created = now_utc();
  check_manifest(complete, staging);
  check_coverage(complete, staging);
  check_sizes(staging, complete);
  remove_strangers(staging, complete);
  complete.index = write_index(staging, complete);
  write_manifest(staging, complete);
  sync_folder(staging);
  auto home = publish(root, staging, complete.step);
  try {
    write_latest(root, home);
    remove_old(root, complete.step, keep);
  } catch (const CheckpointError&) {
    // The checkpoint is committed. `latest` is a hint, and the next commit removes what is left.
  }
  return home;
}

}  // namespace fulgur
