#include "runtime/checkpoint/inspect.hpp"

#include <stdexcept>

#include "recipes/job_json.hpp"
#include "recipes/parameters.hpp"
#include "runtime/checkpoint/files.hpp"
#include "runtime/checkpoint/reader.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// What cannot be read counts nothing: a listing goes on.
std::int64_t bytes_in(const fs::path& folder) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (auto at = fs::directory_iterator(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    std::error_code unreadable;
    const auto size = at->file_size(unreadable);
    if (!unreadable) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

CheckpointSummary summary_of(const fs::path& folder, const Manifest& manifest) {
  return {.path = folder,
          .step = manifest.step,
          .tokens = manifest.tokens,
          .bytes = bytes_in(folder),
          .created = manifest.created,
          .problem = {}};
}

}  // namespace

fs::path find_checkpoint_root(const fs::path& path) {
  if (!is_there(path)) fail_invalid(path, "there is no such folder");
  if (!is_folder(path)) fail_invalid(path, "expected a run directory or a checkpoint, got a file");
  return is_folder(path / "checkpoints") ? path / "checkpoints" : path;
}

fs::path find_checkpoint(const fs::path& path) {
  auto root = find_checkpoint_root(path);
  if (is_there(root / kManifestFile)) return root;
  const auto checkpoints = list_checkpoints(root);
  if (checkpoints.empty()) fail_invalid(path, "there is no checkpoint in this folder");
  return checkpoints.back().path;
}

std::vector<CheckpointSummary> summarise_checkpoints(const fs::path& root) {
  std::vector<CheckpointSummary> summaries;
  for (const auto& info : list_checkpoints(root)) {
    try {
      summaries.push_back(summary_of(info.path, CheckpointReader(info.path).manifest()));
    } catch (const CheckpointError& error) {
      summaries.push_back({.path = info.path,
                           .step = info.step,
                           .tokens = 0,
                           .bytes = bytes_in(info.path),
                           .created = {},
                           .problem = error.what()});
    }
  }
  return summaries;
}

CheckpointDetails describe_checkpoint(const fs::path& folder) {
  const CheckpointReader reader(folder);
  const auto& manifest = reader.manifest();
  CheckpointDetails details{
      .summary = summary_of(folder, manifest), .manifest = manifest, .job = {}, .parameters = 0};
  try {
    details.job = job_from_json(manifest.job);
  } catch (const std::invalid_argument& error) {
    fail_invalid(folder / kManifestFile, std::string("`job`: ") + error.what());
  }
  details.parameters = total_parameters(details.job.model);
  return details;
}

}  // namespace fulgur
