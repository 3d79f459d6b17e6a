#include <fmt/format.h>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/planner/phase_plans.hpp"
#include "orchestrator/planner/plan_json.hpp"
#include "orchestrator/run/single_task.hpp"
#include "orchestrator/run/training_run.hpp"
#include "recipes/dsl/load.hpp"

namespace fulgur {
namespace {

// For a shell: in single quotes unless it is plain.
std::string quoted(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/=:,+@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'')
      result += "'\\''";
    else
      result += c;
  }
  result += "'";
  return result;
}

std::string resume_command(const TrainOptions& options) {
  auto command = fmt::format("fulgur train {}", quoted(options.recipe.string()));
  for (const auto& each : options.overrides)
    command += fmt::format(" {}", quoted(each));
  return command;
}

// The sample at the end of a run. That it fails does not undo the training.
void print_final_sample(const Job& job, const std::filesystem::path& checkpoint) {
  fmt::print("\nA sample of what the model writes (temperature {}):\n\n", job.sample.temperature);
  std::fflush(stdout);
  SingleTask task;
  task.task = "generate";
  task.job = job;
  task.checkpoint = checkpoint;
  if (run_single_task(task) != kExitDone)
    fmt::print(stderr, "fulgur: the run is complete; only its sample failed\n");
}

}  // namespace

int run_command(const TrainOptions& options) {
  TrainingRun run;
  auto loaded = load_recipe(options.recipe, options.overrides);
  run.job = std::move(loaded.job);
  run.environment = std::move(loaded.environment);
  run.recipe = options.recipe;
  run.resume_command = resume_command(options);
  const auto& job = run.job;

  RunDirectory directory(job.run_directory);
  if (!options.resume) directory.set_aside();
  remove_leftovers(directory.checkpoints());
  const auto start = find_start(directory, job);
  if (start && start->step >= job.train.steps) {
    fmt::print("{} is complete (step {}); train.steps={} goes on from there\n", job.name,
               start->step, 2 * start->step);
    return kExitDone;
  }
  const auto cluster = cluster_for(job, "");
  if (cluster.hardware.peak(job.train.precision) > 0)
    directory.write("plan.json", plan_json(plan_without_checks(job, cluster, {}), cluster));
  const int code = train_to_end(run, directory, start);
  if (code == kExitDone && job.sample.tokens > 0)
    print_final_sample(job, checkpoint_folder(directory.checkpoints(), job.train.steps));
  return code;
}

}  // namespace fulgur
