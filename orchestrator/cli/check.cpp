#include <fmt/format.h>

#include <filesystem>

#include "cluster/exit_codes.hpp"
#include "cluster/launch/local.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/run/checkpoint_space.hpp"
#include "orchestrator/run/progress.hpp"
#include "recipes/data_mix.hpp"
#include "recipes/data_sources.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/fields.hpp"
#include "recipes/parameters.hpp"
#include "recipes/phases.hpp"

namespace fulgur {
namespace {

std::string percent(std::int64_t share) {
  return fmt::format("{:.3g}%", 100 * static_cast<double>(share) / static_cast<double>(kWholeMix));
}

void print_phases(const Job& job) {
  for (std::size_t i = 0; i < job.phases.from.size(); ++i) {
    const auto from = job.phases.from[i];
    const auto now = job_of_phase(job, i + 1);
    const auto& train = now.train;
    fmt::print(
        "  phase {} from {} tokens: {} tokens a step, {} sequences of {}, learning rate {:.2e}", i,
        grouped(from), grouped(train.batch * train.sequence_length), train.batch,
        grouped(train.sequence_length), learning_rate(job, from));
    if (now.model.rope_base != rope_base_of_phase(job, i))
      fmt::print(", rotary base {}", real_text(now.model.rope_base));
    if (now.layout != layout_of_phase(job, i)) fmt::print(", layout {}", to_string(now.layout));
    fmt::print("\n");
  }
}

void print_data(const Job& job) {
  const auto mixes = stretch_mixes(job);
  const auto sources = data_sources(job.data);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    std::uintmax_t bytes = 0;
    for (const auto& file : sources[i].files)
      bytes += std::filesystem::file_size(file);
    fmt::print("  data    {} file{}, {}B", sources[i].files.size(),
               sources[i].files.size() == 1 ? "" : "s", short_number(static_cast<double>(bytes)));
    if (sources.size() > 1) {
      fmt::print(": {}, {}", sources[i].name, percent(mixes.front().end[i]));
      for (std::size_t phase = 1; phase < mixes.size(); ++phase)
        fmt::print(", {}", percent(mixes[phase].end[i]));
    }
    fmt::print("\n");
  }
}

}  // namespace

int run_command(const CheckOptions& options) {
  const auto job = load_recipe(options.recipe, options.overrides).job;
  const auto tokens = job.train.batch * job.train.sequence_length;
  const auto cores = usable_cores().size();
  fmt::print("{}: the recipe is right\n", job.name);
  fmt::print("  model   {} parameters, {} of them active for a token\n",
             grouped(total_parameters(job.model)), grouped(active_parameters(job.model)));
  fmt::print("  layout  {}: {} workers; this machine has {} core{} for them\n",
             to_string(job.layout), world_size(job.layout), cores, cores == 1 ? "" : "s");
  fmt::print("  step    {} tokens: {} sequences of {}, in micro-batches of {}\n", grouped(tokens),
             job.train.batch, grouped(job.train.sequence_length), job.train.micro_batch);
  fmt::print("  run     {} steps, {} tokens; in {}\n", grouped(job.train.steps),
             grouped(tokens_of_steps(job, job.train.steps)), job.run_directory);
  print_phases(job);
  print_data(job);
  if (const auto warning = checkpoint_space_warning(job)) fmt::print("  warning: {}\n", *warning);
  return kExitDone;
}

}  // namespace fulgur
