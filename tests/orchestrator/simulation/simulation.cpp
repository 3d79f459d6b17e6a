#include "tests/orchestrator/simulation/simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <map>
#include <queue>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "orchestrator/coordinator/decide.hpp"
#include "orchestrator/coordinator/shard_collector.hpp"
#include "orchestrator/coordinator/supervise.hpp"

namespace fulgur::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = Action::Kind;

constexpr seconds kBeat{2};
constexpr seconds kTick{1};
constexpr seconds kSureDeath{5};  // a launcher gives a node up so long after SIGKILL
constexpr seconds kLongestRun{4 * 3600};

enum class Fault {
  kKill,
  kPause,
  kHang,
  kCutOff,
  kAgentDies,
  kDuplicate,
  kStale,
  kBadData,
  kUserStops,
  kSleep,
  kDamage
};
constexpr int kNumFaults = 11;

ExitStatus killed(int signal = SIGKILL) {
  ExitStatus status;
  status.signal = signal;
  return status;
}

struct Worker {
  int attempt = 0;
  int rank = 0;
  int node = 0;
  bool alive = true;
  bool told = false;  // its end, or that it is lost
  bool connected = false;
  bool paused = false, hung = false, cut = false;
  bool leaves = false;  // its work is over
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed) {
    rules_.restarts = pick(0, 6);
    rules_.no_progress = pick(1, 4);
    rules_.per = std::chrono::minutes(pick(1, 10));
    const int dp = pick(1, 3);
    for (int each = dp; each >= pick(1, dp); --each)
      rules_.layouts.push_back({.dp = each, .workers = each});
    if (chance(0.7)) {
      const int nodes = dp + pick(0, 1);  // with a spare or without
      for (int node = 0; node < nodes; ++node)
        rules_.nodes.push_back({.name = std::string(1, static_cast<char>('a' + node)), .slots = 1});
    }
    steps_ = pick(2, 24);
    every_ = pick(1, 4);
    limits_ = {.join = seconds(8),
               .dead_after = seconds(5),
               .settle = seconds(1),
               .setup = seconds(15),
               .step = seconds(6),
               .checkpoint = seconds(10)};
    faulty_ = chance(0.2) ? 1.0 : chance(0.5) ? 0.1 : 0.4;
  }

  SimulationEnd run() {
    apply(supervise(std::move(supervision_), event::RunBegins{pick(0, 3)}, now_, rules_));
    at(kTick, [this] { tick(); });
    at(seconds(pick(0, 8)), [this] { inject(); });
    while (!over_ && end_.broken.empty() && !queue_.empty()) {
      auto next = std::move(const_cast<Planned&>(queue_.top()));
      queue_.pop();
      now_ = std::max(now_, next.when);
      if (now_.time_since_epoch() > kLongestRun) broken("it does not end");
      next.what();
    }
    if (!over_) broken("nothing is left to happen");
    return end_;
  }

 private:
  struct Planned {
    TimePoint when;
    int number;
    std::function<void()> what;
    bool operator<(const Planned& other) const {
      return std::tie(other.when, other.number) < std::tie(when, number);
    }
  };

  int pick(int from, int to) {
    return from + static_cast<int>(random_() % static_cast<std::uint64_t>(to - from + 1));
  }
  bool chance(double probability) {
    return static_cast<double>(random_() >> 11) * 0x1p-53 < probability;
  }
  void at(Duration later, std::function<void()> what) {
    queue_.push({.when = now_ + later, .number = num_planned_++, .what = std::move(what)});
  }
  void broken(const std::string& what) {
    if (end_.broken.empty()) {
      end_.broken = fmt::format(
          "after {} s: {}", std::chrono::duration<double>(now_.time_since_epoch()).count(), what);
    }
  }

  // Once for `attempt` only: what was planned for workers of an attempt that is over does not happen.
  void within_attempt(Duration later, std::function<void()> what) {
    at(later, [this, attempt = attempt_, what = std::move(what)] {
      if (attempt == attempt_ && running_) what();
    });
  }

  void apply(Supervision next) {
    supervision_ = std::move(next.state);
    const auto& action = next.action;
    switch (action.kind) {
      case SupervisionAction::Kind::kNothing:
        return;
      case SupervisionAction::Kind::kStart:
        return at(action.pause, [this, action] { start(action); });
      case SupervisionAction::Kind::kStop:
        growing_ = true;
        return happened(event::StopAsked{});
      case SupervisionAction::Kind::kEnd:
        over_ = true;
        end_.exit_code = action.exit_code;
        if (action.exit_code == 0 && committed_ != steps_) broken("complete without its last step");
        static const std::set<int> kDocumented{0, 1, 65, 69, 75, 93};
        if (!kDocumented.contains(action.exit_code)) broken("an exit code of its own");
    }
  }

  void start(const SupervisionAction& action) {
    for (const auto& worker : workers_) {
      if (!worker.told) broken("an attempt begins while a worker of another runs");
    }
    if (action.attempt <= attempt_) broken("the number of attempts does not grow");
    const int dp = rules_.layouts[action.layout].dp;
    if (dp_ > 0 && dp < dp_) end_.shrank = true;
    if (dp_ > 0 && dp > dp_) end_.grew = true;
    dp_ = dp;
    ++end_.attempts;
    attempt_ = action.attempt;
    from_ = step_ = committed_;
    running_ = true;
    growing_ = stopping_ = assigned_ = false;
    const int world = rules_.layouts[action.layout].workers;
    state_ = initial_state(world, now_, attempt_, from_);
    shards_.emplace(world);
    std::erase_if(workers_, [](const Worker& each) { return !each.alive; });
    place(world, action.excluded);
  }

  void place(int world, const std::vector<std::string>& excluded) {
    std::vector<int> slots;
    for (std::size_t node = 0; node < rules_.nodes.size(); ++node) {
      const auto& name = rules_.nodes[node].name;
      if (std::find(excluded.begin(), excluded.end(), name) == excluded.end())
        slots.insert(slots.end(), static_cast<std::size_t>(rules_.nodes[node].slots),
                     static_cast<int>(node));
    }
    if (!rules_.nodes.empty() && static_cast<int>(slots.size()) < world)
      return broken("more workers than slots");
    for (int rank = 0; rank < world; ++rank) {
      const int node = rules_.nodes.empty() ? -1 : slots[static_cast<std::size_t>(rank)];
      workers_.push_back({.attempt = attempt_, .rank = rank, .node = node});
      if (down_.contains(node)) {
        within_attempt(milliseconds(100), [this, rank] { lose(rank, "no route"); });
        continue;
      }
      const auto delay =
          chance(0.02) ? milliseconds(pick(5000, 12000)) : milliseconds(pick(1, 900));
      within_attempt(delay, [this, rank] { join(rank); });
    }
  }

  Worker& worker(int rank) {
    return *std::find_if(workers_.begin(), workers_.end(), [&](const Worker& each) {
      return each.attempt == attempt_ && each.rank == rank;
    });
  }
  std::vector<int> living() {
    std::vector<int> ranks;
    for (const auto& each : workers_) {
      if (each.attempt == attempt_ && each.alive && !each.told) ranks.push_back(each.rank);
    }
    return ranks;
  }

  void happened(const Event& event) {
    if (!running_) return;
    auto decision = decide(std::move(state_), event, now_, limits_);
    state_ = std::move(decision.state);
    for (const auto& action : decision.actions)
      perform(action);
  }

  void perform(const Action& action) {
    switch (action.kind) {
      case Kind::kAssign:
        assigned_ = true;
        for (const int rank : living())
          within_attempt(milliseconds(pick(0, 900)), [this, rank] { beat(rank); });
        return within_attempt(milliseconds(pick(500, 2500)), [this] { step(); });
      case Kind::kStop:
        stopping_ = true;
        return;
      case Kind::kAbort:
        return end_all();
      case Kind::kEnd:
        return attempt_ended();
      case Kind::kRefuse:
        ++end_.refused;
        return;
      case Kind::kCommit:
        if (action.step <= committed_)
          broken(fmt::format("step {} is committed again", action.step));
        before_ = committed_;
        committed_ = static_cast<int>(action.step);
        ++end_.commits;
        return;
      case Kind::kDrop:
      case Kind::kStraggler:
        return;
    }
  }

  void join(int rank) {
    auto& self = worker(rank);
    if (!self.alive || self.told) return;
    if (self.paused || self.cut) return within_attempt(seconds(1), [this, rank] { join(rank); });
    const int refused = end_.refused;
    // Before its own process is known: workers that come when the attempt ends are refused.
    happened(event::Joined{rank, attempt_});
    self.connected = end_.refused == refused;
    if (!self.connected) die(rank, {.code = 1});
  }

  void beat(int rank) {
    auto& self = worker(rank);
    if (!self.alive || self.told || self.leaves) return;
    if (!self.paused && !self.cut && self.connected) {
      happened(event::SignOfLife{rank});
      if (!running_) return;
      Heartbeat position;
      position.section = step_ == from_ ? "setup" : "step " + std::to_string(step_ + 1);
      if (!self.hung) {
        position.group = "dp";
        position.number = step_ + 1;
      }
      position.groups = {fmt::format("{} dp", self.hung ? step_ : step_ + 1)};
      happened(event::Position{rank, std::move(position)});
    }
    within_attempt(kBeat, [this, rank] { beat(rank); });
  }

  bool all_go_on() {
    const auto ranks = living();
    return ranks.size() == state_.workers.size() &&
           std::all_of(ranks.begin(), ranks.end(), [this](int rank) {
             const auto& each = worker(rank);
             return each.connected && !each.paused && !each.hung && !each.cut;
           });
  }

  // All ranks do a step together, or none does.
  void step() {
    if (state_.phase != RunPhase::kWorking) return;
    if (!all_go_on()) return within_attempt(milliseconds(500), [this] { step(); });
    ++step_;
    happened(event::StepEnded{});
    const bool last = step_ == steps_ || stopping_;
    if (last || step_ % every_ == 0) save(step_);
    if (!running_) return;
    if (!last) return within_attempt(milliseconds(pick(500, 1500)), [this] { step(); });
    for (const int rank : living())
      within_attempt(milliseconds(pick(1, 900)), [this, rank] { finish(rank); });
  }

  void save(int step) {
    for (const int rank : living()) {
      const auto told = chance(0.03) ? shards_->failed(step, rank, "disk full")
                                     : shards_->written(step, rank, "hash");
      if (told) {
        happened(event::ShardsTold{step, told->failures.empty() ? "" : told->failures.front()});
        if (chance(0.05)) happened(event::ShardsTold{step});  // told twice
      }
    }
  }

  void finish(int rank) {
    auto& self = worker(rank);
    if (!self.alive || self.told || !self.connected) return;
    if (self.paused || self.cut) return within_attempt(seconds(1), [this, rank] { finish(rank); });
    self.leaves = true;
    const bool saved = committed_ == step_;
    if (!saved)
      happened(event::WorkFailed{rank, {.kind = "disk", .message = "not saved"}});
    else
      happened(event::WorkDone{rank, step_ == steps_ ? "complete" : "stopped"});
    die(rank, {.code = saved ? 0 : 1});
  }

  // The process ends; connection and process are seen to end in either order.
  void die(int rank, const ExitStatus& status) {
    if (!running_) return;
    auto& self = worker(rank);
    if (!self.alive || self.told) return;
    self.alive = false;
    const auto exits = [this, rank, status] {
      auto& gone = worker(rank);
      if (gone.told) return;
      gone.told = true;
      happened(event::Exited{rank, status, {}});
    };
    const auto hangs_up = [this, rank] {
      if (std::exchange(worker(rank).connected, false)) happened(event::Disconnected{rank});
    };
    within_attempt(milliseconds(pick(0, 300)), exits);
    if (self.connected) within_attempt(milliseconds(pick(0, 300)), hangs_up);
    if (status.signal != 0) echo(rank);
  }

  // The peers of a dead rank see their collectives fail.
  void echo(int dead) {
    for (const int rank : living()) {
      if (rank == dead || !chance(0.5)) continue;
      within_attempt(milliseconds(pick(0, 400)), [this, rank] {
        const auto& self = worker(rank);
        if (!self.alive || self.told || !self.connected || self.paused || self.cut || !assigned_ ||
            self.leaves)
          return;
        happened(event::WorkFailed{rank, {.kind = "comm", .message = "a peer is lost"}});
        die(rank, {.code = 1});
      });
    }
  }

  void lose(int rank, const std::string& why) {
    auto& self = worker(rank);
    if (self.told) return;
    self.told = true;
    lost_.insert(rules_.nodes.empty() ? ""
                                      : rules_.nodes[static_cast<std::size_t>(self.node)].name);
    ExitStatus status;
    status.code = 255;
    happened(event::Exited{rank, status, why});
    if (running_ && std::exchange(worker(rank).connected, false))
      happened(event::Disconnected{rank});
  }

  // The coordinator tells all to end; who does not hear it is killed, or given up with its node.
  void end_all() {
    for (const int rank : living()) {
      const auto& self = worker(rank);
      if (self.cut)
        within_attempt(2 * kSureDeath, [this, rank] { lose(rank, "it does not answer"); });
      else if (self.paused)
        within_attempt(kSureDeath, [this, rank] { die(rank, killed()); });
      else
        within_attempt(milliseconds(pick(0, 500)), [this, rank] { die(rank, {.code = 1}); });
    }
    // One that is paused or cut off from now on is killed all the same.
    within_attempt(3 * kSureDeath, [this] {
      for (const int rank : living()) {
        if (worker(rank).cut)
          lose(rank, "it does not answer");
        else
          die(rank, killed());
        if (!running_) return;
      }
    });
  }

  void attempt_ended() {
    running_ = false;
    for (const auto& each : workers_) {
      if (each.attempt == attempt_ && !each.told) broken("an attempt ends before a worker of it");
    }
    const int code = exit_code(state_);
    const bool fails = code != 0 && code != 75;
    const bool fruitful = committed_ > from_;
    event::AttemptEnded ended{.exit_code = code,
                              .worth_repeating = is_worth_repeating(state_),
                              .stop_asked = user_stops_ || (stopping_ && !growing_),
                              .new_checkpoint = fruitful,
                              .lost_nodes = {lost_.begin(), lost_.end()}};
    lost_.clear();
    if (std::exchange(damaged_, false) && fails) committed_ = before_;
    fruitless_ = fruitful ? 0 : fruitless_ + (fails ? 1 : 0);
    auto next = supervise(std::move(supervision_), ended, now_, rules_);
    if (fails && next.action.kind == SupervisionAction::Kind::kStart) check_restart();
    apply(std::move(next));
  }

  void check_restart() {
    if (fruitless_ >= rules_.no_progress) broken("it starts again without progress");
    restarts_.push_back(now_);
    std::erase_if(restarts_, [this](TimePoint when) { return now_ - when >= rules_.per; });
    if (static_cast<int>(restarts_.size()) > rules_.restarts) broken("more restarts than allowed");
  }

  void tick() {
    if (running_) happened(event::Tick{});
    at(asleep_ ? seconds(20) : kTick, [this] { tick(); });
    asleep_ = false;
  }

  void inject() {
    const auto ranks = running_ ? living() : std::vector<int>{};
    if (!ranks.empty() && chance(faulty_)) {
      ++end_.faults;
      strike(static_cast<Fault>(pick(0, kNumFaults - 1)),
             ranks[static_cast<std::size_t>(pick(0, static_cast<int>(ranks.size()) - 1))]);
    }
    at(milliseconds(pick(500, 4000)), [this] { inject(); });
  }

  void strike(Fault fault, int rank) {
    auto& self = worker(rank);
    switch (fault) {
      case Fault::kKill:
        return die(rank, killed(chance(0.8) ? SIGKILL : SIGSEGV));
      case Fault::kPause:
        self.paused = true;
        if (chance(0.5))
          within_attempt(seconds(pick(1, 9)), [this, rank] { worker(rank).paused = false; });
        return;
      case Fault::kHang:
        self.hung = true;
        return;
      case Fault::kCutOff:
        return cut_off(rank);
      case Fault::kAgentDies:
        if (self.node < 0) return;
        self.alive = false;
        if (chance(0.5)) take_down(self.node);
        return lose(rank, "the agent is gone");
      case Fault::kDuplicate:
        return knock(rank, attempt_, state_.workers[static_cast<std::size_t>(rank)].joined);
      case Fault::kStale:
        return knock(rank, attempt_ + (chance(0.8) ? -pick(1, attempt_) : pick(1, 2)), true);
      case Fault::kBadData:
        if (!assigned_ || !self.connected || self.leaves || chance(0.7)) return;
        happened(event::WorkFailed{rank, {.kind = "data", .message = "bad"}});
        return die(rank, {.code = 65});
      case Fault::kUserStops:
        if (chance(0.7)) return;
        user_stops_ = true;
        return happened(event::Signal{SIGTERM});
      case Fault::kSleep:
        asleep_ = true;
        return;
      case Fault::kDamage:
        damaged_ = true;
        return;
    }
  }

  // Neither hears the other. When the cut heals late, the worker of the old attempt knocks again.
  void cut_off(int rank) {
    auto& self = worker(rank);
    if (self.node < 0) return;
    self.cut = true;
    const bool long_cut = chance(0.7);
    if (long_cut) take_down(self.node);
    at(seconds(long_cut ? pick(10, 60) : pick(1, 4)), [this, rank, attempt = attempt_] {
      if (attempt == attempt_ && running_ && !worker(rank).told) {
        worker(rank).cut = false;
        return;
      }
      if (running_ && attempt != attempt_) knock(rank, attempt, true);
    });
  }

  void take_down(int node) {
    down_.insert(node);
    at(seconds(pick(5, 120)), [this, node] {
      down_.erase(node);
      const auto name = rules_.nodes[static_cast<std::size_t>(node)].name;
      if (!over_) apply(supervise(std::move(supervision_), event::NodeBack{name}, now_, rules_));
    });
  }

  void knock(int rank, int attempt, bool to_be_refused) {
    if (!to_be_refused) return;
    const int refused = end_.refused;
    const auto phase = state_.phase;
    happened(event::Joined{rank, attempt});
    if (end_.refused != refused + 1)
      broken(fmt::format("rank {} of attempt {} is let in to attempt {}", rank, attempt, attempt_));
    if (state_.phase != phase) broken("a refused worker changes the attempt");
  }

  std::mt19937_64 random_;
  SupervisionRules rules_;
  Limits limits_;
  SupervisionState supervision_;
  RunState state_;
  std::optional<ShardCollector> shards_;
  std::vector<Worker> workers_;
  std::priority_queue<Planned> queue_;
  SimulationEnd end_;
  TimePoint now_{};
  std::vector<TimePoint> restarts_;
  std::set<std::string> lost_;
  std::set<int> down_;  // nodes
  double faulty_ = 0;
  int num_planned_ = 0;
  int attempt_ = 0, dp_ = 0, fruitless_ = 0;
  int steps_ = 0, every_ = 0, step_ = 0, from_ = 0;
  int committed_ = 0, before_ = 0;
  bool running_ = false, assigned_ = false, stopping_ = false, growing_ = false;
  bool user_stops_ = false, asleep_ = false, damaged_ = false, over_ = false;
};

}  // namespace

SimulationEnd simulate(std::uint64_t seed) {
  return Simulation(seed).run();
}

}  // namespace fulgur::test
