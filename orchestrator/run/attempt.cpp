#include "orchestrator/run/attempt.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>
#include <cstring>
#include <set>

#include "cluster/exit_codes.hpp"
#include "orchestrator/coordinator/verdict.hpp"
#include "orchestrator/run/supervision.hpp"
#include "recipes/canonical.hpp"
#include "recipes/job_json.hpp"
#include "recipes/parameters.hpp"
#include "recipes/phases.hpp"
#include "runtime/checkpoint/inspect.hpp"

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

}  // namespace

Attempt::Attempt(const TrainingRun& run, RunDirectory& directory,
                 const std::optional<CheckpointInfo>& start)
    : run_(run),
      directory_(directory),
      start_(start),
      launching_(launching_of(run.job)),
      events_(directory.events(), directory.attempt()),
      metrics_(directory.metrics()),
      progress_(stdout, run.job.train.steps) {
  setup_.job = run.job;
  if (run.measures) setup_.task = "measure";
  setup_.world = world_size(run.job.layout);
  setup_.attempt = directory.attempt();
  setup_.launcher = launching_.launcher;
  setup_.run_id = launching_.run_id;
  setup_.secret = launching_.secret;
  setup_.limits = limits_of(run.job, launching_.join);
  setup_.logs = directory.logs();
  if (start) {
    setup_.checkpoint = start->path;
    setup_.from = start->step;
  }
  setup_.stop_at = run.stop_at;
}

event::AttemptEnded Attempt::run() {
  announce();
  write_run_file("running", {}, {});
  const auto result = coordinate(setup_, hooks());
  progress_.finish();
  verdict_ = explain(result, run_.resume_command);
  const auto saved = list_checkpoints(directory_.checkpoints());
  event::AttemptEnded end;
  end.exit_code = result.exit_code;
  end.worth_repeating = is_worth_repeating(result.state);
  end.stop_asked = result.state.stop_requested;
  end.next_layout = ends_for_next_layout(result.state);
  end.new_checkpoint = !saved.empty() && saved.back().step > setup_.from;
  end.lost_nodes = lost_nodes(result, launching_);
  events_.write("ended", end.next_layout ? "the next phase has another layout"
                                         : fmt::format("exit code {}{}{}", result.exit_code,
                                                       verdict_.empty() ? "" : ": ", verdict_));
  return end;
}

void Attempt::conclude(int exit_code) {
  const auto newest = list_checkpoints(directory_.checkpoints());
  const auto saved = newest.empty() ? "" : "; checkpoint " + newest.back().path.string();
  if (exit_code == kExitDone) {
    write_run_file("complete", {}, {});
    fmt::print("{}: complete: {} steps, loss {:.4f}{}\n", run_.job.name, last_.step, last_.loss,
               saved);
  } else if (exit_code == kExitStopped) {
    write_run_file("stopped", {}, {});
    fmt::print("{}: stopped at step {}{}\n  go on: {}\n", run_.job.name, last_.step, saved,
               run_.resume_command);
  } else {
    write_run_file("failed", {}, {});
  }
  std::fflush(stdout);
}

void Attempt::tell(const std::string& event, const std::string& text) {
  events_.write(event, text);
  progress_.note(text);
}

void Attempt::announce() {
  const auto& job = run_.job;
  const auto tokens = start_ ? describe_checkpoint(start_->path).manifest.tokens : 0;
  const auto train = train_of_phase(job, phase_at(job, tokens));
  progress_.note(fmt::format("{}: {} parameters, {} active for a token; {} tokens a step; {}",
                             job.name, grouped(total_parameters(job.model)),
                             grouped(active_parameters(job.model)),
                             grouped(train.batch * train.sequence_length), to_string(job.layout)));
  if (start_)
    progress_.note(fmt::format("going on from step {} ({})", start_->step, start_->path.string()));
}

CoordinatorHooks Attempt::hooks() {
  CoordinatorHooks hooks;
  hooks.started = [this](std::uint16_t port, const std::vector<WorkerFacts>& workers) {
    write_run_file("running", port, workers);
    events_.write("started", "workers " + where(workers));
    std::set<std::string> nodes;
    for (const auto& worker : workers)
      nodes.insert(worker.node);
    progress_.note(fmt::format(
        "{} worker{} started{}; logs in {}", workers.size(), workers.size() == 1 ? "" : "s",
        nodes.size() > 1 || !nodes.begin()->empty() ? fmt::format(" on {}", fmt::join(nodes, ", "))
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
  hooks.straggler = [this](int, const std::string& reason) { tell("straggler", reason); };
  hooks.note = [this](const std::string& text) { events_.write("note", text); };
  return hooks;
}

// More than a GPU can do is a mistake in its peak or in the count, and no utilisation.
Utilisation Attempt::believable(Utilisation use) {
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

void Attempt::checkpointed(std::int64_t step, const std::string& problem) {
  if (problem.empty()) {
    events_.write("checkpoint", fmt::format("step {}", step));
    return;
  }
  events_.write("checkpoint failed", fmt::format("step {}: {}", step, problem));
  progress_.note(
      fmt::format("warning: the checkpoint of step {} was not written: {}", step, problem));
}

void Attempt::write_run_file(const char* state, std::uint16_t port,
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

}  // namespace fulgur
