#include "orchestrator/run/training_run.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>
#include <cstring>
#include <set>

#include "cluster/exit_codes.hpp"
#include "cluster/wire/secret.hpp"
#include "cluster/wire/text.hpp"
#include "orchestrator/coordinator/coordinator.hpp"
#include "orchestrator/coordinator/verdict.hpp"
#include "orchestrator/planner/phase_plans.hpp"
#include "orchestrator/run/journal.hpp"
#include "orchestrator/run/launching.hpp"
#include "orchestrator/run/progress.hpp"
#include "orchestrator/run/text_file.hpp"
#include "orchestrator/run/utilisation.hpp"
#include "recipes/canonical.hpp"
#include "recipes/diagnostic.hpp"
#include "recipes/job_json.hpp"
#include "recipes/parameters.hpp"
#include "recipes/phases.hpp"
#include "runtime/checkpoint/inspect.hpp"
#include "runtime/checkpoint/reader.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", name);
}

// "n1:123 n2:456", or "123 124" on this machine.
std::string where(const std::vector<WorkerFacts>& workers) {
  std::vector<std::string> all;
  all.reserve(workers.size());
  for (const auto& worker : workers)
    all.push_back(worker.node.empty() ? std::to_string(worker.pid)
                                      : fmt::format("{}:{}", worker.node, worker.pid));
  return fmt::format("{}", fmt::join(all, " "));
}

// One attempt: what it tells on the terminal and writes into the run directory while it goes on.
class Attempt {
 public:
  Attempt(const TrainingRun& run, RunDirectory& directory,
          const std::optional<CheckpointInfo>& start)
      : run_(run),
        directory_(directory),
        start_(start),
        events_(directory.events(), directory.attempt()),
        metrics_(directory.metrics()),
        progress_(stdout, run.job.train.steps) {
    setup_.job = run.job;
    if (run.measures) setup_.task = "measure";
    setup_.world = world_size(run.job.layout);
    setup_.attempt = directory.attempt();
    const auto launching = launching_of(run.job);
    setup_.launcher = launching.launcher;
    setup_.run_id = launching.run_id;
    setup_.secret = launching.secret;
    setup_.limits.join = launching.join;
    setup_.logs = directory.logs();
    if (start) setup_.checkpoint = start->path;
    setup_.stop_at = run.stop_at;
    setup_.limits.dead_after = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(run.job.cluster.dead_after_seconds));
  }

  AttemptEnd run() {
    announce();
    write_run_file("running", {}, {});
    const auto result = coordinate(setup_, hooks());
    progress_.finish();
    if (ends_for_next_layout(result.state)) {
      next_ = checkpoint_folder(directory_.checkpoints(), last_.step);
      events_.write("ended", "the next phase has another layout");
      return {.exit_code = result.exit_code, .stop_signal = stop_signal_, .steps = num_steps_};
    }
    return {.exit_code = conclude(result), .stop_signal = stop_signal_, .steps = num_steps_};
  }

  // Where other workers go on, on the layout of the next phase; nothing when the run has ended.
  std::optional<CheckpointInfo> next() const {
    if (!next_) return std::nullopt;
    return CheckpointInfo{.path = *next_, .step = last_.step};
  }

 private:
  void announce() {
    const auto& job = run_.job;
    const auto tokens = start_ ? describe_checkpoint(start_->path).manifest.tokens : 0;
    const auto train = train_of_phase(job, phase_at(job, tokens));
    progress_.note(
        fmt::format("{}: {} parameters, {} active for a token; {} tokens a step; {}", job.name,
                    grouped(total_parameters(job.model)), grouped(active_parameters(job.model)),
                    grouped(train.batch * train.sequence_length), to_string(job.layout)));
    if (start_)
      progress_.note(
          fmt::format("going on from step {} ({})", start_->step, start_->path.string()));
  }

  CoordinatorHooks hooks() {
    CoordinatorHooks hooks;
    hooks.started = [this](std::uint16_t port, const std::vector<WorkerFacts>& workers) {
      write_run_file("running", port, workers);
      events_.write("started", "workers " + where(workers));
      std::set<std::string> nodes;
      for (const auto& worker : workers)
        nodes.insert(worker.node);
      progress_.note(fmt::format("{} worker{} started{}; logs in {}", workers.size(),
                                 workers.size() == 1 ? "" : "s",
                                 nodes.size() > 1 || !nodes.begin()->empty()
                                     ? fmt::format(" on {}", fmt::join(nodes, ", "))
                                     : "",
                                 setup_.logs.string()));
    };
    hooks.gpu = [this](int rank, const std::string& name) {
      events_.write("gpu", fmt::format("rank {}: {}", rank, name));
      peak_ = peak_of_gpu(name, run_.job.train.precision);
    };
    hooks.step = [this](const StepDone& step, const RunState& state) {
      const auto use = believable(utilisation(run_.job, step, state, peak_));
      metrics_.append(metrics_line(step, use));
      progress_.step(step, use);
      last_ = step;
      ++num_steps_;
    };
    hooks.print = [this](const std::string& text) { progress_.note(text); };
    hooks.checkpoint = [this](std::int64_t step, const std::string& problem) {
      checkpointed(step, problem);
    };
    hooks.stopping = [this](int signal) {
      const auto reason = signal == 0 ? "it is time" : signal_name(signal);
      stop_signal_ = signal;
      events_.write("stopping", reason);
      progress_.note(fmt::format("{}: writing a checkpoint, then stopping{}", reason,
                                 signal == SIGINT ? " (again: stop at once)" : ""));
    };
    hooks.note = [this](const std::string& text) { events_.write("note", text); };
    return hooks;
  }

  // More than a GPU can do is a mistake in its peak or in the count, and no utilisation.
  Utilisation believable(Utilisation use) {
    if (!use.mfu || *use.mfu <= 1) return use;
    const auto text = fmt::format(
        "error: {:.0f} TFLOP/s a rank is {:.0f} % of the GPU's peak in "
        "the catalogue: one of them is wrong, so no MFU is given",
        use.tflops, 100 * *use.mfu);
    events_.write("mfu", text);
    progress_.note(text);
    peak_.reset();
    use.mfu.reset();
    return use;
  }

  void checkpointed(std::int64_t step, const std::string& problem) {
    if (problem.empty()) {
      saved_ = step;
      events_.write("checkpoint", fmt::format("step {}", step));
      return;
    }
    events_.write("checkpoint failed", fmt::format("step {}: {}", step, problem));
    progress_.note(
        fmt::format("warning: the checkpoint of step {} was not written: {}", step, problem));
  }

  int conclude(const RunResult& result) {
    const auto text = explain(result, run_.resume_command);
    events_.write(
        "ended", fmt::format("exit code {}{}{}", result.exit_code, text.empty() ? "" : ": ", text));
    const auto saved = saved_ ? checkpoint_folder(directory_.checkpoints(), *saved_).string() : "";
    if (result.exit_code == kExitDone) {
      write_run_file("complete", {}, {});
      fmt::print("{}: complete: {} steps, loss {:.4f}{}\n", run_.job.name, last_.step, last_.loss,
                 saved_ ? "; checkpoint " + saved : "");
    } else if (result.exit_code == kExitStopped) {
      write_run_file("stopped", {}, {});
      fmt::print("{}: stopped at step {}{}\n  go on: {}\n", run_.job.name, last_.step,
                 saved_ ? "; checkpoint " + saved : "", run_.resume_command);
    } else {
      write_run_file("failed", {}, {});
    }
    std::fflush(stdout);
    fmt::print(stderr, "{}", text);
    return result.exit_code;
  }

  void write_run_file(const char* state, std::uint16_t port,
                      const std::vector<WorkerFacts>& workers) {
    json::object run;
    run["name"] = run_.job.name;
    run["state"] = state;
    run["run_id"] = setup_.run_id;
    run["attempt"] = setup_.attempt;
    run["job_hash"] = job_hash(run_.job);
    run["layout"] = to_string(run_.job.layout);
    run["world"] = setup_.world;
    run["pid"] = ::getpid();
    run["updated"] = timestamp();
    if (start_) run["resumed_from"] = start_->step;
    json::object environment;
    for (const auto& each : run_.environment)
      environment[each.name] = each.value;
    if (!environment.empty()) run["environment"] = std::move(environment);
    if (port != 0) run["port"] = port;
    json::array started;
    for (const auto& worker : workers)
      started.push_back({{"node", worker.node}, {"pid", worker.pid}});
    if (!workers.empty()) run["workers"] = std::move(started);
    directory_.write("run.json", json::serialize(run) + "\n");
  }

  const TrainingRun& run_;
  RunDirectory& directory_;
  const std::optional<CheckpointInfo>& start_;
  CoordinatorSetup setup_;
  EventLog events_;
  LineFile metrics_;
  Progress progress_;
  std::optional<double> peak_;  // FLOP/s of a rank's GPU, as far as known
  StepDone last_;
  std::int64_t num_steps_ = 0;  // of this attempt
  std::optional<std::int64_t> saved_;
  std::optional<int> stop_signal_;  // that a stop was asked for with; 0: it was time
  std::optional<std::filesystem::path> next_;
};

std::string identity_text(const CheckpointInfo& checkpoint,
                          const std::vector<FieldDifference>& forbidden) {
  auto text = fmt::format("{}: its run had another recipe:\n", checkpoint.path.string());
  for (const auto& each : forbidden)
    text += fmt::format("  {}: {} then, {} now\n", each.field, each.a, each.b);
  return text + fmt::format(
                    "  use these values, another name, --resume never (which keeps what is there), "
                    "or allow it:\n  --allow-change {}",
                    forbidden.front().field);
}

// What differs from the checkpoint's recipe, for the eyes of who resumes.
void print_changes(const std::vector<FieldDifference>& changes) {
  for (const auto& each : changes)
    fmt::print("changed since ({}): {} was {}, is {}\n", resume_text(each.category), each.field,
               shortened(printable(each.a)), shortened(printable(each.b)));
}

}  // namespace

std::optional<CheckpointInfo> find_start(const RunDirectory& directory, const Job& job) {
  std::vector<std::string> skipped;
  auto newest = newest_valid_checkpoint(directory.checkpoints(), skipped);
  for (const auto& each : skipped)
    fmt::print(stderr, "fulgur: passed over a damaged checkpoint: {}\n", each);
  if (!newest) {
    if (skipped.empty()) return std::nullopt;
    throw CheckpointError(
        CheckpointError::Kind::kInvalid,
        fmt::format("{}: no checkpoint is sound; --resume never starts afresh and keeps them",
                    directory.checkpoints().string()));
  }
  const auto details = describe_checkpoint(newest->path);
  const auto now = launched_job(job, details.manifest.tokens);
  if (const auto forbidden = forbidden_differences(details.job, now); !forbidden.empty())
    throw IdentityError(identity_text(*newest, forbidden));
  print_changes(differences(details.job, now));
  return newest;
}

Job launched_job(const Job& job, std::int64_t tokens) {
  auto launched = job;
  launched.layout = layout_of_phase(job, phase_at(job, tokens));
  resolve_auto(launched, cluster_for(launched, ""));
  return launched;
}

AttemptEnd train_to_end(const TrainingRun& run, RunDirectory& directory,
                        std::optional<CheckpointInfo> start) {
  directory.write("recipe.yaml", text_of_file(run.recipe).value_or(""));
  std::int64_t steps = 0;
  for (;;) {
    auto launched = run;
    launched.job =
        launched_job(run.job, start ? describe_checkpoint(start->path).manifest.tokens : 0);
    directory.begin_attempt();
    directory.write("recipe.resolved.json", to_json(launched.job) + "\n");
    drop_steps_behind(directory.metrics(), start ? start->step : 0);
    Attempt attempt(launched, directory, start);
    auto end = attempt.run();
    end.steps += steps;
    const auto next = attempt.next();
    if (!next) return end;
    steps = end.steps;
    start = next;
  }
}

}  // namespace fulgur
