#include <fmt/format.h>

#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/reader.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

void check_index(const fs::path& folder, const ShardRecord& index) {
  const auto path = folder / "index.h5";
  const auto file = open_regular(path);
  const auto size = size_of(file, path);
  if (size != index.bytes)
    fail_invalid(path, fmt::format("expected {} bytes, got {}", index.bytes, size));
  const auto hash = hash_of(file, path);
  if (hash != index.xxh128)
    fail_invalid(
        path, fmt::format("the file is damaged: expected XXH3-128 {}, got {}", index.xxh128, hash));
}

}  // namespace

std::vector<std::string> verify_checkpoint(const fs::path& folder) {
  std::vector<std::string> problems;
  try {
    CheckpointReader reader(folder);
    problems = reader.problems();
    check_index(folder, reader.manifest().index);
  } catch (const CheckpointError& error) {
    problems.emplace_back(error.what());
  }
  return problems;
}

std::optional<CheckpointInfo> newest_valid_checkpoint(const fs::path& root,
                                                      std::vector<std::string>& skipped) {
  auto checkpoints = list_checkpoints(root);
  for (auto info = checkpoints.rbegin(); info != checkpoints.rend(); ++info) {
    std::string problem;
    try {
      const auto problems = CheckpointReader(info->path).problems();
      if (problems.empty()) return *info;
      problem = problems.front();
    } catch (const CheckpointError& error) {
      problem = error.what();
    }
    skipped.push_back(std::move(problem));
  }
  return std::nullopt;
}

}  // namespace fulgur
