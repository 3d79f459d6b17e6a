#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <utility>

#include "cluster/exit_codes.hpp"
#include "cluster/launch/shell.hpp"
#include "cluster/launch/slurm.hpp"
#include "cluster/launch/ssh.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/planner/phase_plans.hpp"
#include "orchestrator/planner/plan_json.hpp"
#include "orchestrator/run/checkpoint_space.hpp"
#include "orchestrator/run/preflight.hpp"
#include "orchestrator/run/single_task.hpp"
#include "orchestrator/run/training_run.hpp"
#include "orchestrator/submit/batch_script.hpp"
#include "orchestrator/submit/scheduler.hpp"
#include "orchestrator/submit/submission.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/hosts.hpp"
#include "recipes/stop_time.hpp"

namespace fulgur {
namespace {

// What resumes the run: the same again, but for what only its start wanted.
std::vector<std::string> same_command(const TrainOptions& options, const std::string& program) {
  std::vector<std::string> words{program, "train", options.recipe.string()};
  words.insert(words.end(), options.overrides.begin(), options.overrides.end());
  for (const auto& node : options.exclude)
    words.insert(words.end(), {"--exclude", node});
  return words;
}

void add_excluded(Job& job, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (!is_host_name(name)) throw UsageError(name + ": no name of a host or node");
    job.cluster.exclude.push_back(name);
  }
}

struct StopTime {
  std::optional<TimePoint> when;
  bool again = false;  // under Slurm the run is to be queued again then
};

StopTime stop_time(const StopSpec& stop) {
  StopTime time;
  const auto now = std::chrono::steady_clock::now();
  if (stop.after_seconds > 0) {
    time = {.when = now + std::chrono::duration_cast<Duration>(
                              std::chrono::duration<double>(stop.after_seconds)),
            .again = true};
  }
  if (const auto at = parse_stop_time(stop.at)) {
    const auto when = now + (*at - std::chrono::system_clock::now());
    if (!time.when || when < *time.when) time = {.when = when, .again = false};
  }
  return time;
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

namespace {

int submit(const TrainOptions& options, const Job& job) {
  auto words = same_command(options, this_program().string());
  if (!options.resume) words.insert(words.end(), {"--resume", "never"});
  BatchScript script{.name = job.name,
                     .cluster = job.cluster,
                     .directory = std::filesystem::current_path(),
                     .output = std::filesystem::absolute(job.run_directory),
                     .commands = {std::move(words)}};
  script.cluster.nodes += job.faults.spares;
  if (options.dry_run) {
    fmt::print("{}", batch_script(script));
    return kExitDone;
  }
  const auto submission = submit_run(script, job.run_directory);
  fmt::print("{}: job {} of Slurm on {} node{}; script {}\n", job.name, submission.job,
             script.cluster.nodes, script.cluster.nodes == 1 ? "" : "s",
             submission.script.string());
  fmt::print("  fulgur status {0}\n  fulgur logs {0} --follow\n  fulgur cancel {0}\n",
             shell_quoted(job.run_directory));
  return kExitDone;
}

// Whether the run is to be queued again: at its time limit, when it was preempted, or by its own clock; not
// when somebody stopped it, and not when it got nothing done, which would go on for ever.
bool is_to_go_on(const AttemptEnd& end, const StopTime& stop, const SlurmAllocation& allocation) {
  if (end.exit_code != kExitStopped || end.steps == 0) return false;
  const int signal = end.stop_signal.value_or(0);
  if (signal == 0) return stop.again;
  return signal == SIGUSR1 || was_preempted_in_slurm(allocation.job_id);
}

void queue_again(const SlurmAllocation& allocation) {
  fmt::print("job {} is queued again and goes on by itself\n", allocation.job_id);
  std::fflush(stdout);
  requeue_in_slurm(allocation.job_id);
}

}  // namespace

int run_command(const TrainOptions& options) {
  TrainingRun run;
  auto loaded = load_recipe(options.recipe, options.overrides);
  run.job = std::move(loaded.job);
  add_excluded(run.job, options.exclude);
  const bool on_slurm = run.job.cluster.kind == ClusterKind::kSlurm;
  const auto allocation = on_slurm ? slurm_allocation() : std::nullopt;
  if (options.dry_run && !on_slurm)
    throw UsageError("--dry-run prints a batch script: it wants --cluster slurm");
  if (on_slurm && (!allocation || options.dry_run || options.submit))
    return submit(options, run.job);
  run.environment = std::move(loaded.environment);
  run.recipe = options.recipe;
  run.resume_command = shell_command(same_command(options, "fulgur"));
  const auto stop = stop_time(run.job.stopping);
  run.stop_at = stop.when;
  const auto& job = run.job;

  RunDirectory directory(job.run_directory);
  const bool queued_again = allocation && allocation->restarts > 0;  // by now there is what to keep
  if (!options.resume && !queued_again) directory.set_aside();
  remove_leftovers(directory.checkpoints());
  const auto start = find_start(directory, job);
  if (start && start->step >= job.train.steps) {
    fmt::print("{} is complete (step {}); train.steps={} goes on from there\n", job.name,
               start->step, 2 * start->step);
    return kExitDone;
  }
  if (const auto warning = checkpoint_space_warning(job))
    fmt::print(stderr, "fulgur: warning: {}\n", *warning);
  const int ready = run_preflight(launched_job(job, 0));
  if (ready != kExitDone) return ready;
  const auto cluster = cluster_for(job, "");
  if (cluster.hardware.peak(job.train.precision) > 0)
    directory.write("plan.json", plan_json(plan_without_checks(job, cluster, {}), cluster));
  const auto end = train_to_end(run, directory, start);
  if (allocation && allocation->is_batch && is_to_go_on(end, stop, *allocation))
    queue_again(*allocation);
  if (end.exit_code == kExitDone && job.sample.tokens > 0)
    print_final_sample(job, checkpoint_folder(directory.checkpoints(), job.train.steps));
  return end.exit_code;
}

}  // namespace fulgur
