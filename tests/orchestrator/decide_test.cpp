#include "orchestrator/coordinator/decide.hpp"

#include <doctest/doctest.h>

#include <csignal>

#include "orchestrator/coordinator/waits.hpp"

using namespace fulgur;
using namespace std::chrono_literals;

namespace {

const Limits kLimits{.join = 60s, .dead_after = 5s, .settle = 2s};
const ExitStatus kWell{};
const ExitStatus kKilled{.code = 0, .signal = SIGKILL};
using Actions = std::vector<Action::Kind>;

// Plays events and keeps what was decided.
struct Play {
  explicit Play(int world) : state(initial_state(world, now)) {}

  Actions happens(const Event& event, Duration later = 10ms) {
    now += later;
    auto decision = decide(state, event, now, limits);
    state = std::move(decision.state);
    Actions kinds;
    for (const auto& action : decision.actions)
      kinds.push_back(action.kind);
    return kinds;
  }

  // Time passes, with a tick now and then; all workers but `silent` give signs of life.
  Actions passes(Duration time, int silent = -1) {
    Actions actions;
    for (Duration passed{}; passed < time; passed += 500ms) {
      for (int rank = 0; rank < static_cast<int>(state.workers.size()); ++rank) {
        const auto at = static_cast<std::size_t>(rank);
        if (rank != silent && state.workers[at].connected) happens(event::SignOfLife{rank}, 0ms);
      }
      for (const auto action : happens(event::Tick{}, 500ms))
        actions.push_back(action);
    }
    return actions;
  }

  TimePoint now{100h};
  Limits limits = kLimits;
  RunState state;
};

Play working(int world) {
  Play play(world);
  for (int rank = 0; rank < world; ++rank)
    play.happens(event::Joined{rank});
  REQUIRE(play.state.phase == RunPhase::kWorking);
  return play;
}

Actions leaves(Play& play, int rank, const ExitStatus& status) {
  auto actions = play.happens(event::Disconnected{rank});
  for (const auto action : play.happens(event::Exited{rank, status}))
    actions.push_back(action);
  return actions;
}

}  // namespace

TEST_SUITE("orchestrator/coordinator/decide") {
  TEST_CASE("workers are assigned when the last of them joins") {
    Play play(3);
    CHECK(play.happens(event::Joined{2}).empty());
    CHECK(play.happens(event::Joined{0}).empty());
    CHECK(play.happens(event::Joined{1}) == Actions{Action::Kind::kAssign});
  }

  TEST_CASE("the run ends when every worker is done and gone, in either order of its two ends") {
    auto play = working(2);
    play.happens(event::WorkDone{0, "complete"});
    play.happens(event::WorkDone{1, "complete"});
    CHECK(leaves(play, 1, kWell).empty());
    CHECK(play.happens(event::Exited{0, kWell}) == Actions{Action::Kind::kEnd});
    CHECK(exit_code(play.state) == 0);
  }

  TEST_CASE("done workers may leave long before the others") {
    auto play = working(2);
    play.happens(event::WorkDone{0, "complete"});
    CHECK(leaves(play, 0, kWell).empty());
    CHECK(play.passes(30s).empty());
    play.happens(event::WorkDone{1, "complete"});
    CHECK(leaves(play, 1, kWell) == Actions{Action::Kind::kEnd});
  }

  TEST_CASE("a death is the cause as soon as the last words are read") {
    for (const bool exit_first : {false, true}) {
      auto play = working(2);
      Actions actions;
      if (exit_first) {
        CHECK(play.happens(event::Exited{1, kKilled}).empty());
        actions = play.happens(event::Disconnected{1});
      } else {
        CHECK(play.happens(event::Disconnected{1}).empty());
        actions = play.happens(event::Exited{1, kKilled});
      }
      CHECK(actions == Actions{Action::Kind::kAbort});
      CHECK(play.state.cause->rank == 1);
      CHECK(leaves(play, 0, kKilled) == Actions{Action::Kind::kEnd});
      CHECK(play.state.cause->rank == 1);
      CHECK(exit_code(play.state) == 1);
    }
  }

  TEST_CASE("last words that arrive behind the exit are still heard") {
    auto play = working(2);
    CHECK(play.happens(event::Exited{1, {.code = 65}}).empty());
    CHECK(play.happens(event::WorkFailed{1, {"data", "x"}}) == Actions{Action::Kind::kAbort});
    CHECK(play.state.cause->kind == Cause::Kind::kFailed);
    CHECK(exit_code(play.state) == 65);
  }

  TEST_CASE("an exit that is seen before the last words is no cause when they are good") {
    auto play = working(2);
    CHECK(play.happens(event::Exited{1, kWell}).empty());
    play.happens(event::WorkDone{1, "complete"});
    CHECK(play.happens(event::Disconnected{1}).empty());
    CHECK(play.passes(30s).empty());
    play.happens(event::WorkDone{0, "complete"});
    CHECK(leaves(play, 0, kWell) == Actions{Action::Kind::kEnd});
    CHECK(exit_code(play.state) == 0);
  }

  TEST_CASE("an exit that is seen before a failed collective is told as that failure") {
    auto play = working(2);
    play.happens(event::Exited{1, {.code = 1}});
    play.happens(event::WorkFailed{1, {"comm", "timeout"}});
    CHECK(play.happens(event::Disconnected{1}).empty());
    CHECK(play.passes(3s) == Actions{Action::Kind::kAbort});
    CHECK(play.state.cause->kind == Cause::Kind::kFailed);
  }

  TEST_CASE("an exit whose connection stays open is judged after the settling time") {
    auto play = working(2);
    CHECK(play.happens(event::Exited{1, kKilled}).empty());
    CHECK(play.passes(1500ms).empty());
    CHECK(play.passes(1s) == Actions{Action::Kind::kAbort});
    CHECK(play.state.cause->kind == Cause::Kind::kDied);
  }

  TEST_CASE("a failed collective gives way to the death behind it") {
    auto play = working(3);
    CHECK(play.happens(event::WorkFailed{0, {"comm", "lost rank 2"}}).empty());
    CHECK(leaves(play, 0, {.code = 1}).empty());
    CHECK(leaves(play, 2, kKilled) == Actions{Action::Kind::kAbort});
    CHECK(play.state.cause->rank == 2);
  }

  TEST_CASE("a failed collective is the cause when nothing else shows up") {
    auto play = working(2);
    play.happens(event::WorkFailed{1, {"comm", "timeout"}});
    CHECK(play.passes(1500ms).empty());
    CHECK(play.passes(1s) == Actions{Action::Kind::kAbort});
    CHECK(play.state.cause->rank == 1);
    CHECK(play.state.cause->kind == Cause::Kind::kFailed);
  }

  TEST_CASE("nobody waits for a cause when all have left") {
    auto play = working(2);
    play.happens(event::WorkFailed{0, {"comm", "a"}});
    play.happens(event::WorkFailed{1, {"comm", "b"}});
    leaves(play, 0, {.code = 1});
    const auto actions = leaves(play, 1, {.code = 1});
    CHECK(actions == Actions{Action::Kind::kAbort, Action::Kind::kEnd});
    CHECK(play.state.cause->rank == 0);
  }

  TEST_CASE("other failures are the cause at once, with their exit codes") {
    struct Case {
      const char* kind;
      int exit_code;
    };
    for (const auto& each : {Case{"data", 65}, Case{"checkpoint", 65}, Case{"disk", 1},
                             Case{"recipe", 78}, Case{"diverged", 93}, Case{"other", 1}}) {
      CAPTURE(each.kind);
      auto play = working(2);
      CHECK(play.happens(event::WorkFailed{1, {each.kind, "x"}}) == Actions{Action::Kind::kAbort});
      CHECK(exit_code(play.state) == each.exit_code);
      CHECK(play.happens(event::WorkFailed{0, {"other", "y"}}).empty());
      CHECK(play.state.cause->rank == 1);
    }
  }

  TEST_CASE("a worker without a sign of life is dead after the limit, not before") {
    auto play = working(3);
    CHECK(play.passes(4500ms, 2).empty());
    CHECK(play.passes(1s, 2) == Actions{Action::Kind::kAbort});
    CHECK(play.state.cause->rank == 2);
    CHECK(play.state.cause->kind == Cause::Kind::kSilent);
    CHECK(exit_code(play.state) == 1);
  }

  TEST_CASE("a worker that has said its last word may be silent") {
    auto play = working(2);
    play.happens(event::WorkDone{1, "complete"});
    CHECK(play.passes(30s, 1).empty());
  }

  TEST_CASE("a pause of the coordinator is not held against the workers") {
    auto play = working(2);
    CHECK(play.passes(2s).empty());
    CHECK(play.happens(event::Tick{}, 3600s).empty());
    CHECK(play.passes(20s).empty());
  }

  TEST_CASE("workers that do not join in time are given up") {
    Play play(2);
    play.happens(event::Joined{0});
    CHECK(play.passes(59s).empty());
    CHECK(play.passes(2s) == Actions{Action::Kind::kAbort});
    CHECK(play.state.cause->kind == Cause::Kind::kNotJoined);
    CHECK(play.state.cause->rank == 1);
    CHECK(exit_code(play.state) == 69);
  }

  TEST_CASE("a worker that dies before it joins is not waited for") {
    Play play(2);
    CHECK(play.happens(event::Exited{0, {.code = 127}}) == Actions{Action::Kind::kAbort});
    CHECK(play.state.cause->kind == Cause::Kind::kDied);
    Play stranger(1);
    CHECK(stranger.happens(event::Exited{0, {.code = 77}}) ==
          Actions{Action::Kind::kAbort, Action::Kind::kEnd});
    CHECK(exit_code(stranger.state) == 77);
  }

  TEST_CASE("a scheduler that asks again for a stop does not end the run before its checkpoint") {
    auto play = working(2);
    CHECK(play.happens(event::Signal{SIGUSR1}) == Actions{Action::Kind::kStop});
    CHECK(play.happens(event::Signal{SIGTERM}).empty());
    CHECK(play.happens(event::StopAsked{}).empty());
  }

  TEST_CASE("the first rank of a lost node is named, and the run may be started again") {
    auto play = working(3);
    CHECK(play.happens(event::Exited{1, {.code = 255}, "node n2 is lost"}) ==
          Actions{Action::Kind::kAbort});
    play.happens(event::Exited{2, {.code = 255}, "node n2 is lost"});
    REQUIRE(play.state.cause.has_value());
    CHECK(play.state.cause->rank == 1);
    CHECK(exit_code(play.state) == 69);
  }

  TEST_CASE("a stop is asked for once, and a second SIGINT ends the run") {
    auto play = working(2);
    CHECK(play.happens(event::StopAsked{}) == Actions{Action::Kind::kStop});
    CHECK(play.happens(event::StopAsked{}).empty());
    CHECK(play.happens(event::Signal{SIGINT}) == Actions{Action::Kind::kAbort});
    CHECK(exit_code(play.state) == 130);
  }

  TEST_CASE("a stop before all have joined is passed on when they have") {
    Play play(1);
    CHECK(play.happens(event::Signal{SIGINT}).empty());
    CHECK(play.happens(event::Joined{0}) == Actions{Action::Kind::kAssign, Action::Kind::kStop});
    play.happens(event::WorkDone{0, "stopped"});
    CHECK(leaves(play, 0, kWell) == Actions{Action::Kind::kEnd});
    CHECK(exit_code(play.state) == 75);
  }

  TEST_CASE("a run that completes although it was asked to stop is complete") {
    auto play = working(1);
    play.happens(event::Signal{SIGINT});
    play.happens(event::WorkDone{0, "complete"});
    leaves(play, 0, kWell);
    CHECK(exit_code(play.state) == 0);
  }

  TEST_CASE("only the first worker of a rank, of this attempt, is let in") {
    Play play(2);
    play.state.attempt = 3;
    CHECK(play.happens(event::Joined{0, 2}) == Actions{Action::Kind::kRefuse});
    CHECK(play.happens(event::Joined{0, 4}) == Actions{Action::Kind::kRefuse});
    CHECK_FALSE(play.state.workers[0].joined);
    CHECK(play.happens(event::Joined{0, 3}).empty());
    CHECK(play.happens(event::Joined{0, 3}) == Actions{Action::Kind::kRefuse});
    CHECK(play.happens(event::Joined{2, 3}) == Actions{Action::Kind::kRefuse});
  }

  TEST_CASE("of every step one checkpoint is committed") {
    auto play = working(2);
    CHECK(play.happens(event::ShardsTold{4}) == Actions{Action::Kind::kCommit});
    CHECK(play.happens(event::ShardsTold{4}) == Actions{Action::Kind::kDrop});
    CHECK(play.happens(event::ShardsTold{3}) == Actions{Action::Kind::kDrop});
    CHECK(play.happens(event::ShardsTold{8, "disk full"}) == Actions{Action::Kind::kDrop});
    CHECK(play.happens(event::ShardsTold{8}) == Actions{Action::Kind::kCommit});
  }

  TEST_CASE("whom the others wait for is the cause when a step takes too long") {
    auto play = working(4);
    play.limits.setup = 100s;
    play.limits.step = 20s;
    for (int step = 0; step < 2; ++step)
      play.happens(event::StepEnded{});
    // Ranks 0 and 1 wait for rank 3 in cp, which waits for rank 2 in tp.
    const auto beat = [](const char* group, std::vector<std::string> groups) {
      return Heartbeat{
          .section = "step 3", .group = group, .number = 7, .groups = std::move(groups)};
    };
    play.happens(event::Position{0, beat("cp", {"7 cp", "6 tp"})});
    play.happens(event::Position{1, beat("cp", {"7 cp", "6 tp"})});
    play.happens(event::Position{3, beat("tp", {"6 cp", "7 tp"})});
    play.happens(event::Position{2, beat("", {"6 cp", "6 tp"})});
    CHECK(play.passes(19s).empty());
    CHECK(play.passes(2s) == Actions{Action::Kind::kAbort});
    CHECK(play.state.cause->kind == Cause::Kind::kHung);
    CHECK(play.state.cause->rank == 2);
    const auto missing = missing_ranks(play.state);
    REQUIRE(missing.size() == 2);
    CHECK(missing.front().group == "cp");
    CHECK(missing.front().have_not == std::vector<int>{2, 3});
    CHECK(missing.front().wait == std::vector<int>{0, 1});
  }

  TEST_CASE("a section that is left in time is no hang, whatever came before") {
    auto play = working(1);
    play.limits.setup = 30s;
    for (int step = 1; step < 20; ++step) {
      play.happens(event::Position{0, {.section = "step " + std::to_string(step)}});
      CHECK(play.passes(25s).empty());
      play.happens(event::StepEnded{});
    }
  }

  TEST_CASE(
      "the limit of a step is that of setup first, then five times the slowest, at least 30 s") {
    auto play = working(1);
    play.limits.setup = 600s;
    CHECK(step_limit(play.state, play.limits) == 600s);
    play.happens(event::StepEnded{}, 1s);
    CHECK(step_limit(play.state, play.limits) == 600s);
    play.happens(event::StepEnded{}, 2s);
    CHECK(step_limit(play.state, play.limits) == 30s);
    play.happens(event::StepEnded{}, 100s);
    for (int i = 0; i < 3; ++i)
      play.happens(event::StepEnded{}, 20s);
    CHECK(step_limit(play.state, play.limits) ==
          100s);  // the 99th percentile of five is the fourth
    play.happens(event::StepEnded{.next_differs = true}, 1s);
    CHECK(step_limit(play.state, play.limits) == 600s);
  }

  TEST_CASE("a rank that computes much longer than the others is told of once") {
    auto play = working(3);
    std::vector<Actions> told;
    for (int step = 1; step < 20; ++step) {
      for (int rank = 0; rank < 3; ++rank) {
        const double a_step = rank == 1 ? 1.0 : 0.4;
        const auto actions = play.happens(event::Position{
            rank, {.section = "step " + std::to_string(step), .computing = a_step * step}});
        if (!actions.empty()) told.push_back(actions);
      }
    }
    CHECK(told == std::vector<Actions>{{Action::Kind::kStraggler}});
    CHECK(play.state.workers[1].straggles);
  }

  TEST_CASE(
      "a run that is asked to stop before its first step ends soon, whatever its workers do") {
    for (const bool joined : {false, true}) {
      auto play = joined ? working(2) : Play(2);
      play.limits.stop = 5s;
      play.happens(event::Signal{SIGTERM});
      CHECK(play.passes(4s).empty());
      CHECK(play.passes(2s) == Actions{Action::Kind::kAbort});
      leaves(play, 0, kKilled);
      CHECK(leaves(play, 1, kKilled) == Actions{Action::Kind::kEnd});
      CHECK(exit_code(play.state) == 75);
    }
    auto play = working(2);
    play.limits.stop = 5s;
    play.happens(event::StepEnded{});
    play.happens(event::Signal{SIGTERM});
    CHECK(play.passes(60s).empty());  // there is something to save
  }
}
