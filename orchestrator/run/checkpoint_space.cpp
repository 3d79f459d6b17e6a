#include "orchestrator/run/checkpoint_space.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <limits>

#include "orchestrator/run/run_directory.hpp"
#include "recipes/parameters.hpp"
#include "runtime/checkpoint/folders.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

std::string gibibytes(std::int64_t bytes) {
  const double gib = static_cast<double>(bytes) / (std::int64_t{1} << 30);
  return gib < 100 ? fmt::format("{:.3g} GiB", gib) : fmt::format("{:.0f} GiB", gib);
}

std::optional<std::int64_t> free_bytes(fs::path folder) {
  std::error_code error;
  folder = fs::absolute(folder, error);
  while (!error && !fs::exists(folder, error) && folder.has_relative_path())
    folder = folder.parent_path();
  const auto space = fs::space(folder, error);
  if (error || space.available > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return static_cast<std::int64_t>(space.available);
}

}  // namespace

std::int64_t checkpoint_bytes(const Job& job) {
  constexpr std::int64_t kOfParameter = 3 * 4;
  return kOfParameter * total_parameters(job.model);
}

std::optional<std::string> checkpoint_space_warning(const Job& job, std::int64_t existing,
                                                    std::int64_t free) {
  const auto bytes = checkpoint_bytes(job);
  const auto more = job.checkpoint.keep + 1 - existing;
  if (more <= 0 || bytes <= free / more) return std::nullopt;
  return fmt::format(
      "{} has {} free, and {} checkpoint{} of {} are to come there (checkpoint.keep {} and the "
      "next "
      "one)",
      job.run_directory, gibibytes(free), more, more == 1 ? "" : "s", gibibytes(bytes),
      job.checkpoint.keep);
}

std::optional<std::string> checkpoint_space_warning(const Job& job) {
  const auto free = free_bytes(job.run_directory);
  if (!free) return std::nullopt;
  const auto existing = list_checkpoints(fs::path(job.run_directory) / "checkpoints").size();
  return checkpoint_space_warning(job, static_cast<std::int64_t>(existing), *free);
}

}  // namespace fulgur
