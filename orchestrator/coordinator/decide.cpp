#include "orchestrator/coordinator/decide.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <utility>

#include "cluster/exit_codes.hpp"
#include "orchestrator/coordinator/waits.hpp"

namespace fulgur {
namespace {

constexpr std::size_t kKeptSteps = 256;
constexpr int kStepsToCompare = 5;   // before a rank is called a straggler
constexpr double kStraggling = 1.5;  // times the others' computing
constexpr double kNoticed = 0.005;   // seconds a step that are worth a word
constexpr Duration kLeastStepLimit = std::chrono::seconds(30);

bool is_step(std::string_view section) {
  return section.starts_with("step ");
}

std::string reason_of(const Cause& cause) {
  switch (cause.kind) {
    case Cause::Kind::kDied:
      return fmt::format("rank {} died", cause.rank);
    case Cause::Kind::kFailed:
      return fmt::format("rank {} failed", cause.rank);
    case Cause::Kind::kSilent:
      return fmt::format("rank {} is silent", cause.rank);
    case Cause::Kind::kHung:
      return fmt::format("rank {} has hung", cause.rank);
    case Cause::Kind::kHungUp:
      return fmt::format("rank {} has hung up", cause.rank);
    case Cause::Kind::kNotJoined:
      return fmt::format("rank {} has not come", cause.rank);
    case Cause::Kind::kSignal:
      return fmt::format("signal {}", cause.signal);
    case Cause::Kind::kStopped:
      return "it was asked to stop before its first step";
  }
  return "unknown";
}

class Decider {
 public:
  using Kind = Action::Kind;

  Decider(RunState state, TimePoint now, const Limits& limits)
      : state_(std::move(state)), now_(now), limits_(limits) {}

  void operator()(const event::Joined& joined) {
    if (const auto problem = refusal(state_, joined.rank, joined.attempt); !problem.empty())
      return act({.kind = Kind::kRefuse, .reason = problem, .rank = joined.rank});
    auto& joiner = worker(joined.rank);
    joiner.joined = joiner.connected = true;
    joiner.last_seen = now_;
    const bool all = std::all_of(state_.workers.begin(), state_.workers.end(),
                                 [](const auto& each) { return each.joined; });
    if (state_.phase != RunPhase::kStarting || !all) return;
    state_.phase = RunPhase::kWorking;
    for (auto& each : state_.workers)
      each.last_seen = each.section_since = now_;
    act({.kind = Kind::kAssign});
    if (state_.stop_requested) act({.kind = Kind::kStop, .reason = "a stop was asked for"});
  }

  void operator()(const event::SignOfLife& sign) { worker(sign.rank).last_seen = now_; }

  void operator()(const event::Position& position) {
    if (!running()) return;  // where they stood when the cause came up is what counts
    auto& self = worker(position.rank);
    const auto& beat = position.heartbeat;
    if (beat.section != self.section) enter(position.rank, beat);
    self.collective = beat.collective;
    self.memory = beat.memory;
    self.waiting = {
        .group = beat.group, .number = beat.number, .since = now_ - in_seconds(beat.waited)};
    self.groups.clear();
    for (const auto& each : beat.groups) {  // "12 cp.0"
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(each.data(), each.data() + each.size(), number);
      if (error == std::errc{} && *end == ' ') self.groups[end + 1] = number;
    }
  }

  void operator()(const event::StepEnded& ended) {
    if (ended.next_differs) {
      state_.steps.clear();
      state_.num_steps = 0;
    } else {
      if (state_.num_steps++ > 0) state_.steps.push_back(now_ - state_.step_done);
      if (state_.steps.size() > kKeptSteps) state_.steps.erase(state_.steps.begin());
    }
    state_.step_done = now_;
    state_.any_step = true;
  }

  void operator()(const event::ShardsTold& told) {
    std::string problem = told.failure;
    if (state_.phase == RunPhase::kEnded) problem = "the attempt has ended";
    if (problem.empty() && told.step <= state_.newest_commit)
      problem = fmt::format("step {} has been committed before", state_.newest_commit);
    if (!problem.empty()) return act({.kind = Kind::kDrop, .reason = problem, .step = told.step});
    state_.newest_commit = told.step;
    act({.kind = Kind::kCommit, .reason = "all shards are written", .step = told.step});
  }

  void operator()(const event::WorkFailed& failed) {
    worker(failed.rank).failure = failed.failure;
    clear_suspicion(failed.rank);  // its exit was seen before its last words
    const Cause cause{.kind = Cause::Kind::kFailed, .rank = failed.rank};
    if (failed.failure.kind == failure::kComm)
      suspect(cause);
    else
      abort(cause);
  }

  void operator()(const event::WorkDone& done) {
    worker(done.rank).result = done.result;
    clear_suspicion(done.rank);
  }

  void operator()(const event::Disconnected& disconnected) {
    auto& gone = worker(disconnected.rank);
    gone.connected = false;
    if (gone.exit)
      judge_end(disconnected.rank);
    else if (!gone.failure && !gone.result)
      suspect({.kind = Cause::Kind::kHungUp, .rank = disconnected.rank});
  }

  void operator()(const event::Exited& exited) {
    auto& gone = worker(exited.rank);
    gone.exit = exited.status;
    gone.lost = exited.lost;
    if (!gone.lost.empty() && !gone.failure && !gone.result)
      abort({.kind = Cause::Kind::kDied, .rank = exited.rank});
    else if (!gone.connected)
      judge_end(exited.rank);
    else if (!gone.failure && !gone.result)  // its last words may still be on the way
      suspect({.kind = Cause::Kind::kDied, .rank = exited.rank});
  }

  void operator()(const event::Signal& signal) {
    if (state_.stop_requested && signal.number == SIGINT)
      abort({.kind = Cause::Kind::kSignal, .signal = signal.number});
    else
      request_stop();
  }

  void operator()(const event::StopAsked&) { request_stop(); }

  void operator()(const event::Tick&) {
    const bool paused = now_ - state_.last_tick > limits_.dead_after / 2;
    state_.last_tick = now_;
    if (paused) {
      for (auto& each : state_.workers)
        each.last_seen = each.section_since = now_;
    }
    if (state_.suspicion && now_ >= state_.decide_at) abort(*state_.suspicion);
    if (state_.phase == RunPhase::kStarting && now_ - state_.started > limits_.join)
      abort_first(Cause::Kind::kNotJoined, [](const auto& each) { return !each.joined; });
    if (state_.phase == RunPhase::kWorking) {
      abort_first(Cause::Kind::kSilent, [this](const auto& each) {
        return each.connected && !each.result && !each.failure &&
               now_ - each.last_seen > limits_.dead_after;
      });
      end_hung();
    }
    if (state_.stop_requested && !state_.any_step && limits_.stop > Duration::zero() &&
        now_ - state_.stop_since > limits_.stop)
      abort({.kind = Cause::Kind::kStopped});
  }

  Decision finish() && {
    const bool all_gone =
        std::all_of(state_.workers.begin(), state_.workers.end(),
                    [](const auto& each) { return each.exit && !each.connected; });
    if (all_gone && state_.suspicion && !all_done()) abort(*state_.suspicion);
    if (state_.phase != RunPhase::kEnded && all_exited() && (state_.cause || all_done())) {
      state_.phase = RunPhase::kEnded;
      act({.kind = Kind::kEnd, .reason = "every worker is gone"});
    }
    return {std::move(state_), std::move(actions_)};
  }

 private:
  WorkerState& worker(int rank) { return state_.workers.at(static_cast<std::size_t>(rank)); }
  void act(Action action) { actions_.push_back(std::move(action)); }

  static Duration in_seconds(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  }

  // The worker goes from one section to the next. What it computed in a step is known when the step is over.
  void enter(int rank, const Heartbeat& beat) {
    auto& self = worker(rank);
    if (is_step(self.section)) {
      const double computed = beat.computing - self.computing;
      self.step_computing =
          self.num_steps++ == 0 ? computed : 0.8 * self.step_computing + 0.2 * computed;
      compare(rank);
    }
    self.section = beat.section;
    self.computing = beat.computing;
    self.section_since = now_;
  }

  // Tells of a rank that computes much longer than the others in every step, once.
  void compare(int rank) {
    auto& self = worker(rank);
    if (self.num_steps < kStepsToCompare || state_.workers.size() < 2) return;
    std::vector<double> all;
    all.reserve(state_.workers.size());
    for (const auto& each : state_.workers) {
      if (each.num_steps < kStepsToCompare) return;
      all.push_back(each.step_computing);
    }
    // The lower median: of two ranks the faster one.
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>((all.size() - 1) / 2);
    std::nth_element(all.begin(), middle, all.end());
    const bool slow =
        self.step_computing > kStraggling * *middle && self.step_computing - *middle > kNoticed;
    if (slow && !self.straggles) {
      act({.kind = Kind::kStraggler,
           .reason = fmt::format(
               "rank {} computes {:.3f} s a step, the others {:.3f} s: it holds them up", rank,
               self.step_computing, *middle),
           .rank = rank});
    }
    self.straggles = slow;
  }

  // Ends the run when a worker does not leave its section; the cause is whom the others wait for.
  void end_hung() {
    const auto step = step_limit(state_, limits_);
    for (std::size_t rank = 0; rank < state_.workers.size(); ++rank) {
      const auto& each = state_.workers[rank];
      if (!each.connected || each.result || each.failure) continue;
      const auto limit = is_step(each.section)                     ? step
                         : each.section.starts_with("checkpoint ") ? limits_.checkpoint
                                                                   : limits_.setup;
      if (limit == Duration::zero() || now_ - each.section_since <= limit) continue;
      return abort({.kind = Cause::Kind::kHung,
                    .rank = awaited_rank(state_).value_or(static_cast<int>(rank))});
    }
  }

  bool all_exited() const {
    return std::all_of(state_.workers.begin(), state_.workers.end(),
                       [](const auto& each) { return each.exit.has_value(); });
  }
  bool all_done() const {
    return std::all_of(state_.workers.begin(), state_.workers.end(),
                       [](const auto& each) { return each.result.has_value(); });
  }

  bool running() const {
    return state_.phase == RunPhase::kStarting || state_.phase == RunPhase::kWorking;
  }

  void request_stop() {
    if (state_.stop_requested) return;
    state_.stop_requested = true;
    state_.stop_since = now_;
    if (state_.phase == RunPhase::kWorking)
      act({.kind = Kind::kStop, .reason = "a stop was asked for"});
  }

  // The process has ended and its last words are read.
  void judge_end(int rank) {
    const auto& gone = worker(rank);
    if (!gone.failure && !gone.result) abort({.kind = Cause::Kind::kDied, .rank = rank});
  }

  void clear_suspicion(int rank) {
    if (state_.suspicion && state_.suspicion->rank == rank) state_.suspicion.reset();
  }

  void suspect(const Cause& cause) {
    if (!running() || state_.suspicion) return;
    state_.suspicion = cause;
    state_.decide_at = now_ + limits_.settle;
  }

  void abort(const Cause& cause) {
    if (!running()) return;
    state_.cause = cause;
    state_.cause_at = now_;
    state_.phase = RunPhase::kAborting;
    act({.kind = Kind::kAbort, .reason = reason_of(cause), .rank = cause.rank});
  }

  template <class Predicate>
  void abort_first(Cause::Kind kind, Predicate predicate) {
    const auto found = std::find_if(state_.workers.begin(), state_.workers.end(), predicate);
    if (found != state_.workers.end())
      abort({.kind = kind, .rank = static_cast<int>(found - state_.workers.begin())});
  }

  RunState state_;
  TimePoint now_;
  const Limits& limits_;
  std::vector<Action> actions_;
};

int code_of(const RunState& state, const Cause& cause) {
  if (cause.kind == Cause::Kind::kSignal) return kExitSignalBase + cause.signal;
  if (cause.kind == Cause::Kind::kStopped) return kExitStopped;
  if (cause.kind == Cause::Kind::kNotJoined) return kExitUnavailable;
  const auto& worker = state.workers.at(static_cast<std::size_t>(cause.rank));
  if (worker.failure) return exit_code(worker.failure->kind);
  if (!worker.lost.empty()) return kExitUnavailable;
  if (cause.kind == Cause::Kind::kDied && worker.exit && worker.exit->code == kExitAuthentication)
    return kExitAuthentication;
  return kExitFailed;
}

}  // namespace

RunState initial_state(int world, TimePoint now, int attempt, std::int64_t from) {
  RunState state;
  state.workers.resize(static_cast<std::size_t>(world));
  state.started = state.last_tick = now;
  state.attempt = attempt;
  state.newest_commit = from;
  return state;
}

Duration step_limit(const RunState& state, const Limits& limits) {
  if (state.num_steps < 2) return limits.setup;
  if (limits.step > Duration::zero()) return limits.step;
  if (limits.setup == Duration::zero() || state.steps.empty()) return limits.setup;
  auto steps = state.steps;
  const auto at = steps.begin() + static_cast<std::ptrdiff_t>((steps.size() - 1) * 99 / 100);
  std::nth_element(steps.begin(), at, steps.end());
  return std::max(kLeastStepLimit, 5 * *at);
}

std::string refusal(const RunState& state, int rank, int attempt) {
  if (attempt != state.attempt)
    return fmt::format("rank {} is of attempt {}, and attempt {} runs", rank, attempt,
                       state.attempt);
  if (rank < 0 || rank >= static_cast<int>(state.workers.size()))
    return fmt::format("there is no rank {} of {}", rank, state.workers.size());
  if (state.workers[static_cast<std::size_t>(rank)].joined)
    return fmt::format("a second worker calls itself rank {}", rank);
  if (state.phase != RunPhase::kStarting)
    return fmt::format("rank {} comes when the attempt is about to end", rank);
  return {};
}

Decision decide(RunState state, const Event& event, TimePoint now, const Limits& limits) {
  Decider decider(std::move(state), now, limits);
  std::visit(decider, event);
  return std::move(decider).finish();
}

bool ends_for_next_layout(const RunState& state) {
  return exit_code(state) == kExitDone && state.workers.front().result == kDoneForNextLayout;
}

int exit_code(const RunState& state) {
  if (state.cause) return code_of(state, *state.cause);
  const bool stopped = std::any_of(state.workers.begin(), state.workers.end(),
                                   [](const auto& each) { return each.result == "stopped"; });
  return stopped ? kExitStopped : kExitDone;
}

}  // namespace fulgur
