#include "runtime/checkpoint/shard_notes.hpp"

#include <fmt/format.h>

#include <utility>

#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/hash.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxNote = std::int64_t{1} << 30;  // bytes

fs::path note_path(const fs::path& folder, std::size_t rank) {
  return folder / fmt::format("shard-{:05}.json", rank);
}

Manifest read_note(const fs::path& path, std::int64_t step, const std::string& expected) {
  const auto text = read_text(path, kMaxNote);
  const auto got = sha256(text);
  if (got != expected)
    fail_invalid(path,
                 fmt::format("the file is damaged: expected SHA-256 {}, got {}", expected, got));
  auto manifest = manifest_from_json(text, path);
  if (manifest.step != step || manifest.shards.size() != 1)
    fail_invalid(path, fmt::format("expected one shard of step {}, got {} of step {}", step,
                                   manifest.shards.size(), manifest.step));
  return manifest;
}

}  // namespace

std::string write_shard_note(const fs::path& folder, int rank, const Manifest& manifest) {
  const auto text = to_json(manifest);
  write_text(note_path(folder, static_cast<std::size_t>(rank)), text);
  return sha256(text);
}

Manifest gather_shard_notes(const fs::path& folder, std::int64_t step,
                            std::span<const std::string> sha256) {
  Manifest whole;
  for (std::size_t rank = 0; rank < sha256.size(); ++rank) {
    auto manifest = read_note(note_path(folder, rank), step, sha256[rank]);
    if (rank == 0) {
      whole = std::move(manifest);
    } else {
      whole.shards.push_back(std::move(manifest.shards.front()));
    }
  }
  return whole;
}

}  // namespace fulgur
