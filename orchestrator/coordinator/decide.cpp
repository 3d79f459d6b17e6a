#include "orchestrator/coordinator/decide.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "cluster/exit_codes.hpp"

namespace fulgur {
namespace {

class Decider {
 public:
  Decider(RunState state, TimePoint now, const Limits& limits)
      : state_(std::move(state)), now_(now), limits_(limits) {}

  void operator()(const event::Joined& joined) {
    auto& joiner = worker(joined.rank);
    joiner.joined = joiner.connected = true;
    joiner.last_seen = now_;
    const bool all = std::all_of(state_.workers.begin(), state_.workers.end(),
                                 [](const auto& each) { return each.joined; });
    if (state_.phase != RunPhase::kStarting || !all) return;
    state_.phase = RunPhase::kWorking;
    for (auto& each : state_.workers)
      each.last_seen = now_;
    act(Action::kAssign);
    if (state_.stop_requested) act(Action::kStop);
  }

  void operator()(const event::SignOfLife& sign) { worker(sign.rank).last_seen = now_; }

  void operator()(const event::Position& position) {
    worker(position.rank).section = position.heartbeat.section;
    worker(position.rank).collective = position.heartbeat.collective;
    worker(position.rank).memory = position.heartbeat.memory;
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
        each.last_seen = now_;
    }
    if (state_.suspicion && now_ >= state_.decide_at) abort(*state_.suspicion);
    if (state_.phase == RunPhase::kStarting && now_ - state_.started > limits_.join)
      abort_first(Cause::Kind::kNotJoined, [](const auto& each) { return !each.joined; });
    if (state_.phase == RunPhase::kWorking) {
      abort_first(Cause::Kind::kSilent, [this](const auto& each) {
        return each.connected && !each.result && !each.failure &&
               now_ - each.last_seen > limits_.dead_after;
      });
    }
  }

  Decision finish() && {
    const bool all_gone =
        std::all_of(state_.workers.begin(), state_.workers.end(),
                    [](const auto& each) { return each.exit && !each.connected; });
    if (all_gone && state_.suspicion && !all_done()) abort(*state_.suspicion);
    if (state_.phase != RunPhase::kEnded && all_exited() && (state_.cause || all_done())) {
      state_.phase = RunPhase::kEnded;
      act(Action::kEnd);
    }
    return {std::move(state_), std::move(actions_)};
  }

 private:
  WorkerState& worker(int rank) { return state_.workers.at(static_cast<std::size_t>(rank)); }
  void act(Action action) { actions_.push_back(action); }

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
    if (state_.phase == RunPhase::kWorking) act(Action::kStop);
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
    state_.phase = RunPhase::kAborting;
    act(Action::kAbort);
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
  if (cause.kind == Cause::Kind::kNotJoined) return kExitUnavailable;
  const auto& worker = state.workers.at(static_cast<std::size_t>(cause.rank));
  if (worker.failure) return exit_code(worker.failure->kind);
  if (!worker.lost.empty()) return kExitUnavailable;
  if (cause.kind == Cause::Kind::kDied && worker.exit && worker.exit->code == kExitAuthentication)
    return kExitAuthentication;
  return kExitFailed;
}

}  // namespace

RunState initial_state(int world, TimePoint now) {
  RunState state;
  state.workers.resize(static_cast<std::size_t>(world));
  state.started = state.last_tick = now;
  return state;
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
