#include <fmt/format.h>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/run/progress.hpp"
#include "recipes/parameters.hpp"
#include "runtime/checkpoint/inspect.hpp"
#include "runtime/checkpoint/reader.hpp"

namespace fulgur {
namespace {

std::string bytes_text(std::int64_t bytes) {
  return short_number(static_cast<double>(bytes)) + "B";
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// A checkpoint, or all that a run directory has.
std::vector<std::filesystem::path> checkpoints_at(const std::filesystem::path& where) {
  if (std::filesystem::exists(where / kManifestFile)) return {where};
  std::vector<std::filesystem::path> all;
  for (const auto& each : list_checkpoints(find_checkpoint_root(where)))
    all.push_back(each.path);
  if (all.empty()) all.push_back(find_checkpoint(where));  // which says what is missing
  return all;
}

}  // namespace

int run_command(const ListOptions& options) {
  const auto summaries = summarise_checkpoints(find_checkpoint_root(options.where));
  if (summaries.empty()) {
    fmt::print("{}: no checkpoints\n", options.where.string());
    return kExitDone;
  }
  fmt::print("{:>10} {:>10} {:>8}  {:<20}  {}\n", "step", "tokens", "size", "written", "");
  for (const auto& each : summaries) {
    fmt::print("{:>10} {:>10} {:>8}  {:<20}  {}\n", each.step,
               short_number(static_cast<double>(each.tokens)), bytes_text(each.bytes), each.created,
               each.problem.empty() ? each.path.string() : "DAMAGED: " + each.problem);
  }
  return kExitDone;
}

int run_command(const ShowOptions& options) {
  const auto folder = find_checkpoint(options.where);
  const auto details = describe_checkpoint(folder);
  const auto& manifest = details.manifest;
  fmt::print("{}\n", folder.string());
  fmt::print("  job         {} (identity {})\n", details.job.name,
             manifest.identity_hash.substr(0, 16));
  fmt::print("  step        {}\n", grouped(manifest.step));
  fmt::print("  tokens      {}\n", grouped(manifest.tokens));
  fmt::print("  written     {}\n", details.summary.created);
  fmt::print("  parameters  {}\n", grouped(details.parameters));
  fmt::print("  size        {} in {} shard{}\n", bytes_text(details.summary.bytes),
             manifest.shards.size(), manifest.shards.size() == 1 ? "" : "s");
  fmt::print("  tensors     {}\n", manifest.tensors.size());
  for (const auto& tensor : manifest.tensors)
    fmt::print("    {:<48} {}\n", tensor.name, shape_text(tensor.shape));
  return kExitDone;
}

int run_command(const VerifyOptions& options) {
  int code = kExitDone;
  for (const auto& folder : checkpoints_at(options.where)) {
    const auto problems = verify_checkpoint(folder);
    if (problems.empty()) {
      fmt::print("{}: sound\n", folder.string());
      continue;
    }
    code = kExitBadData;
    for (const auto& problem : problems)
      fmt::print(stderr, "fulgur: {}\n", problem);
  }
  return code;
}

}  // namespace fulgur
