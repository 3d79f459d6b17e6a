#include "orchestrator/coordinator/supervise.hpp"

#include <doctest/doctest.h>

using namespace fulgur;
using namespace std::chrono_literals;
using Kind = SupervisionAction::Kind;

namespace {

struct Play {
  SupervisionAction happens(const SupervisionEvent& event, Duration later = 1s) {
    now += later;
    auto next = supervise(std::move(state), event, now, rules);
    state = std::move(next.state);
    return next.action;
  }
  SupervisionAction fails(bool new_checkpoint, std::vector<std::string> lost = {}) {
    return happens(event::AttemptEnded{.exit_code = lost.empty() ? 1 : 69,
                                       .worth_repeating = true,
                                       .new_checkpoint = new_checkpoint,
                                       .lost_nodes = std::move(lost)});
  }

  SupervisionRules rules{
      .restarts = 3, .per = 1h, .no_progress = 2, .layouts = {{2, 2}}, .nodes = {}};
  SupervisionState state;
  TimePoint now{100h};
};

Play begun(SupervisionRules rules = Play{}.rules) {
  Play play;
  play.rules = std::move(rules);
  REQUIRE(play.happens(event::RunBegins{.attempts_before = 4}).attempt == 5);
  return play;
}

SupervisionRules on_nodes(int nodes, int min_dp) {
  auto rules = Play{}.rules;
  rules.layouts.clear();
  for (int dp = 2; dp >= min_dp; --dp)
    rules.layouts.push_back({.dp = dp, .workers = dp});
  for (int node = 0; node < nodes; ++node)
    rules.nodes.push_back({.name = std::string(1, static_cast<char>('a' + node)), .slots = 1});
  return rules;
}

}  // namespace

TEST_SUITE("orchestrator/coordinator/supervise") {
  TEST_CASE("a failure behind a new checkpoint is answered at once, with the next attempt") {
    auto play = begun();
    const auto action = play.fails(true);
    CHECK(action.kind == Kind::kStart);
    CHECK(action.attempt == 6);
    CHECK(action.pause == Duration::zero());
    CHECK(action.reason == "restart 1 of 3");
  }

  TEST_CASE(
      "attempts without a new checkpoint end the run with 93, however many restarts are left") {
    auto play = begun();
    CHECK(play.fails(false).kind == Kind::kStart);
    const auto action = play.fails(false);
    CHECK(action.kind == Kind::kEnd);
    CHECK(action.exit_code == 93);
  }

  TEST_CASE("restarts are counted within their time, and forgotten behind it") {
    auto play = begun();
    for (int restart = 0; restart < 3; ++restart)
      CHECK(play.fails(true).kind == Kind::kStart);
    SUBCASE("used up") {
      const auto action = play.fails(true);
      CHECK(action.kind == Kind::kEnd);
      CHECK(action.exit_code == 1);
    }
    SUBCASE("an hour later") {
      play.now += 1h;
      CHECK(play.fails(true).kind == Kind::kStart);
    }
  }

  TEST_CASE("what would fail again, and what the user stopped, is not repeated") {
    auto play = begun();
    SUBCASE("bad data") {
      const auto action = play.happens(event::AttemptEnded{.exit_code = 65});
      CHECK(action.kind == Kind::kEnd);
      CHECK(action.exit_code == 65);
    }
    SUBCASE("a stop") {
      const auto action = play.happens(
          event::AttemptEnded{.exit_code = 1, .worth_repeating = true, .stop_asked = true});
      CHECK(action.kind == Kind::kEnd);
    }
  }

  TEST_CASE("failures in a row are answered ever later") {
    auto rules = Play{}.rules;
    rules.restarts = rules.no_progress = 100;
    auto play = begun(rules);
    std::vector<Duration> pauses;
    pauses.reserve(9);
    for (int i = 0; i < 9; ++i)
      pauses.push_back(play.fails(false).pause);
    CHECK(pauses == std::vector<Duration>{0s, 1s, 2s, 4s, 8s, 16s, 30s, 30s, 30s});
  }

  TEST_CASE("a spare takes the place of a lost node") {
    auto play = begun(on_nodes(3, 2));
    const auto action = play.fails(true, {"b"});
    CHECK(action.kind == Kind::kStart);
    CHECK(action.layout == 0);
    CHECK(action.excluded == std::vector<std::string>{"b"});
  }

  TEST_CASE("without a spare the run shrinks, and grows when the node is back") {
    auto play = begun(on_nodes(2, 1));
    const auto shrunk = play.fails(true, {"a"});
    CHECK(shrunk.layout == 1);
    CHECK(shrunk.excluded == std::vector<std::string>{"a"});
    CHECK(play.happens(event::NodeBack{"b"}).kind == Kind::kNothing);  // it was never lost
    CHECK(play.happens(event::NodeBack{"a"}).kind == Kind::kStop);
    const auto grown = play.happens(event::AttemptEnded{.exit_code = 75, .new_checkpoint = true});
    CHECK(grown.kind == Kind::kStart);
    CHECK(grown.layout == 0);
    CHECK(grown.excluded.empty());
    CHECK(play.state.restarts.size() == 1);  // growing is no failure
  }

  TEST_CASE(
      "where nothing fits without the lost nodes they are tried again, and the run ends with 69") {
    auto play = begun(on_nodes(2, 2));
    const auto again = play.fails(false, {"a"});
    CHECK(again.kind == Kind::kStart);
    CHECK(again.excluded.empty());
    const auto action = play.fails(false, {"a"});
    CHECK(action.kind == Kind::kEnd);
    CHECK(action.exit_code == 69);
  }
}
