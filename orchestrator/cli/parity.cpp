#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdio>

#include "cluster/exit_codes.hpp"
#include "cluster/wire/secret.hpp"
#include "cluster/wire/text.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/coordinator/coordinator.hpp"
#include "orchestrator/coordinator/verdict.hpp"
#include "orchestrator/parity/compare.hpp"
#include "orchestrator/planner/phase_plans.hpp"
#include "orchestrator/run/launching.hpp"
#include "recipes/diagnostic.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/near_tie.hpp"
#include "recipes/rules/rules.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

// Where the runs are recorded: the folder that the user named, or one that is removed at the end.
class OutputFolder {
 public:
  explicit OutputFolder(const std::optional<fs::path>& named) : kept_(named.has_value()) {
    if (named) {
      path_ = fs::absolute(*named);
      if (fs::exists(path_) && !(fs::is_directory(path_) && fs::is_empty(path_)))
        throw UsageError(fmt::format("parity: --output {} is there already", named->string()));
      fs::create_directories(path_);
      return;
    }
    auto name = (fs::temp_directory_path() / "fulgur-parity-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw fs::filesystem_error("mkdtemp", name, {errno, std::generic_category()});
    path_ = name;
  }
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;
  ~OutputFolder() {
    std::error_code ignored;
    if (!kept_) fs::remove_all(path_, ignored);
  }

  const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
  bool kept_;
};

struct NamedJob {
  std::string name;
  Job job;
};

std::vector<std::string> layout_overrides(const ParityOptions& options, const std::string& text) {
  Layout layout;
  try {
    layout = parse_layout(text);
  } catch (const std::invalid_argument& error) {
    throw UsageError(fmt::format("parity: --layout {}: {}", text, error.what()));
  }
  auto overrides = options.overrides;
  const std::pair<const char*, int> axes[] = {{"pp", layout.pp}, {"dp", layout.dp},
                                              {"cp", layout.cp}, {"tp", layout.tp},
                                              {"ep", layout.ep}, {"etp", layout.etp}};
  for (const auto& [axis, size] : axes)
    overrides.push_back(fmt::format("layout.{}={}", axis, size));
  overrides.push_back(fmt::format("train.steps={}", options.steps));
  return overrides;
}

// The steps lie before the first phase, which then changes nothing. Throws UsageError when they do not.
void leave_phases(Job& job) {
  const auto tokens = job.train.steps * job.train.batch * job.train.sequence_length;
  if (!job.phases.from.empty() && job.phases.from.front() < tokens) {
    throw UsageError(
        fmt::format("parity: step {} has {} tokens behind it, and phase 0 begins at {}: only steps "
                    "before the phases are compared",
                    job.train.steps, tokens, job.phases.from.front()));
  }
  job.phases = {};
}

// The same on one rank, where nothing is exchanged.
Job reference_job(Job job) {
  job.layout = {};
  job.pipeline = {};
  job.experts = {};
  return job;
}

// One rank first, then each layout. Throws RecipeError with all that is wrong with any of them.
std::vector<NamedJob> load_jobs(const ParityOptions& options) {
  std::vector<NamedJob> jobs;
  std::vector<Diagnostic> problems;
  const auto add = [&problems](const std::vector<Diagnostic>& more) {
    for (const auto& each : more) {
      const bool known = std::any_of(problems.begin(), problems.end(), [&](const auto& other) {
        return other.message == each.message;
      });
      if (!known) problems.push_back(each);
    }
  };
  for (const auto& text : options.layouts) {
    try {
      auto loaded = load_recipe(options.recipe, layout_overrides(options, text));
      leave_phases(loaded.job);
      resolve_auto(loaded.job, cluster_for(loaded.job, ""));
      if (jobs.empty()) {
        jobs.push_back({"one rank", reference_job(loaded.job)});
        add(to_diagnostics(violations(jobs.front().job), loaded.provenance));
      }
      jobs.push_back({to_string(loaded.job.layout), loaded.job});
    } catch (const RecipeError& error) {
      add(error.diagnostics());
    }
  }
  if (!problems.empty()) throw RecipeError(std::move(problems));
  return jobs;
}

struct Recorded {
  int exit_code = kExitDone;
  RecordedRun run;
};

// Trains the job's steps with workers of its own, which write them down in `folder`, with the choices of
// experts that `reference` made at near ties; without one the run is the reference. A failure has been
// explained on stderr.
Recorded record(const NamedJob& named, const fs::path& folder, const RecordedRun* reference) {
  fmt::print("running {} step{} on {}\n", named.job.train.steps,
             named.job.train.steps == 1 ? "" : "s", named.name);
  std::fflush(stdout);
  fs::create_directories(folder / "logs");
  CoordinatorSetup setup;
  setup.job = named.job;
  setup.job.run_directory = folder.string();
  setup.job.checkpoint.keep = named.job.train.steps;
  setup.task = "record";
  if (reference != nullptr) setup.source = reference->checkpoints;
  setup.world = world_size(named.job.layout);
  setup.run_id = to_hex(random_bytes(8));
  setup.launcher = launch_locally(named.job.cluster.environment);
  setup.logs = folder / "logs";
  setup.limits.dead_after = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(named.job.cluster.dead_after_seconds));
  Recorded recorded;
  recorded.run.checkpoints = folder / "checkpoints";
  CoordinatorHooks hooks;
  hooks.step = [&recorded](const StepDone& step, const RunState&) {
    recorded.run.steps.push_back(step);
  };
  hooks.checkpoint = [](std::int64_t step, const std::string& problem) {
    if (!problem.empty()) fmt::print(stderr, "fulgur: step {}: {}\n", step, problem);
  };
  const auto result = coordinate(setup, hooks);
  if (result.exit_code == kExitStopped)
    fmt::print(stderr, "fulgur: stopped; nothing is compared\n");
  recorded.exit_code = result.exit_code;
  fmt::print(stderr, "{}", explain(result, {}));
  return recorded;
}

std::string place_of(const ComparedQuantity& quantity) {
  return fmt::format("step {}{}{}", quantity.step, quantity.where.empty() ? "" : ", ",
                     quantity.where.empty() ? "" : describe_tensor(quantity.where));
}

void print(const std::string& layout, const Comparison& comparison) {
  fmt::print("\n{} against one rank: {}\n", layout, comparison.first ? "DIFFERENT" : "equal");
  fmt::print("  {:<16} {:>9} {:>9}  {}\n", "", "error", "allowed", "at its worst");
  for (const auto& each : comparison.quantities) {
    fmt::print("  {:<16} {:>9.2g} {:>9.2g}  {}\n", each.name, each.error, each.allowed,
               place_of(each));
  }
  fmt::print("  near ties (gap up to {:g}): {}, of which {} replayed\n", kNearTie,
             comparison.near_ties, comparison.replayed);
  if (!comparison.first) return;
  const bool is_tensor =
      comparison.first->name == kForwardPass || comparison.first->name == kGradients;
  fmt::print("  the first that differs: {}{}\n", is_tensor ? "" : comparison.first->name + ", ",
             place_of(*comparison.first));
}

}  // namespace

int run_command(const ParityOptions& options) {
  const auto jobs = load_jobs(options);
  const OutputFolder output(options.output);
  std::vector<RecordedRun> runs;
  for (const auto& job : jobs) {
    const auto folder = output.path() / fmt::format("run-{}", runs.size());
    auto recorded = record(job, folder, runs.empty() ? nullptr : &runs.front());
    if (recorded.exit_code != kExitDone) return recorded.exit_code;
    runs.push_back(std::move(recorded.run));
  }
  bool different = false;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const auto comparison =
        compare_runs(runs.front(), runs[i], jobs.front().job.model.experts_per_token);
    print(jobs[i].name, comparison);
    different = different || comparison.first;
  }
  fmt::print("\n{}: the layouts {}\n", jobs.front().job.name,
             different ? "differ" : "change nothing beyond rounding");
  return different ? kExitFailed : kExitDone;
}

}  // namespace fulgur
