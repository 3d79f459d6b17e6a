#include <fmt/format.h>

#include <filesystem>

#include "cluster/exit_codes.hpp"
#include "cluster/launch/local.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/run/progress.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/parameters.hpp"
#include "recipes/phases.hpp"

namespace fulgur {
namespace {

void print_phases(const Job& job) {
  for (std::size_t i = 0; i < job.phases.from.size(); ++i) {
    const auto from = job.phases.from[i];
    const auto train = train_of_phase(job, i + 1);
    fmt::print(
        "  phase {} from {} tokens: {} tokens a step, {} sequences of {}, learning rate {:.2e}\n",
        i, grouped(from), grouped(train.batch * train.sequence_length), train.batch,
        grouped(train.sequence_length), learning_rate(job, from));
  }
}

}  // namespace

int run_command(const CheckOptions& options) {
  const auto job = load_recipe(options.recipe, options.overrides).job;
  const auto tokens = job.train.batch * job.train.sequence_length;
  std::uintmax_t bytes = 0;
  for (const auto& file : job.data.files)
    bytes += std::filesystem::file_size(file);
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
  fmt::print("  data    {} file{}, {}B\n", job.data.files.size(),
             job.data.files.size() == 1 ? "" : "s", short_number(static_cast<double>(bytes)));
  return kExitDone;
}

}  // namespace fulgur
