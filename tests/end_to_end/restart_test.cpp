#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <chrono>
#include <csignal>
#include <sstream>

#include "tests/end_to_end/tiny_run.hpp"
#include "tests/support/processes.hpp"

using namespace fulgur::test;

namespace {

constexpr std::int64_t kSteps = 400;

std::vector<std::string> long_run(std::vector<std::string> more = {}) {
  std::vector<std::string> overrides{"train.steps=" + std::to_string(kSteps),
                                     "checkpoint.every=20"};
  overrides.insert(overrides.end(), more.begin(), more.end());
  return overrides;
}

// The texts of all events of a kind, in order.
std::vector<std::string> events(const TinyRun& run, const std::string& kind) {
  std::vector<std::string> texts;
  std::istringstream file(read_text(run.directory() / "events.jsonl"));
  for (std::string line; std::getline(file, line);) {
    const auto event = boost::json::parse(line);
    if (event.at("event").as_string() == kind)
      texts.emplace_back(event.at("text").as_string().c_str());
  }
  return texts;
}

// A worker that is at work: its run has gone beyond a checkpoint since the last restart.
pid_t worker_under_way(const TinyRun& run, const Program& program, std::size_t restarts) {
  std::int64_t from = 0;
  if (restarts > 0) {
    if (!eventually([&] { return events(run, "restart").size() == restarts; })) return -1;
    from = run.checkpoints().back();
  }
  if (!eventually([&] { return !run.checkpoints().empty() && run.checkpoints().back() > from; }))
    return -1;
  const auto workers = children_of(program.pid());
  return workers.size() == 2 ? workers.back() : -1;
}

}  // namespace

TEST_SUITE("end_to_end/restart") {
  TEST_CASE("a run whose workers are killed twice ends as if undisturbed, bit for bit") {
    const TinyRun run;
    const auto program = run.start_training(long_run());
    for (std::size_t kill = 0; kill < 2; ++kill) {
      const auto victim = worker_under_way(run, *program, kill);
      REQUIRE(victim > 0);
      REQUIRE(::kill(victim, SIGKILL) == 0);
    }
    const auto outcome = program->wait();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(events(run, "restart").size() == 2);
    CHECK(contains(outcome.errors, "SIGKILL"));
    CHECK(contains(outcome.output, "restart 2 of 5: going on from step"));
    CHECK(all_gone(run));

    const TinyRun calm;
    REQUIRE(calm.train(long_run()).exit_code == 0);
    check_same(calm, run, kSteps);
  }

  TEST_CASE("a frozen worker is found, killed and replaced, and the run ends as if undisturbed") {
    const TinyRun run;
    const auto program =
        run.start_training(long_run({"cluster.heartbeat=200 ms", "cluster.dead_after=2 s"}));
    const auto victim = worker_under_way(run, *program, 0);
    REQUIRE(victim > 0);
    REQUIRE(::kill(victim, SIGSTOP) == 0);
    const auto outcome = program->wait();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.errors, "no sign of life"));
    const TinyRun calm;
    REQUIRE(calm.train(long_run()).exit_code == 0);
    check_same(calm, run, kSteps);
  }

  TEST_CASE(
      "a rank that stands still is found by its peers' waits, named with the collective, and "
      "replaced") {
    const TinyRun run;
    // No heartbeat is missed for an hour: only the step's time-out can tell.
    const auto program =
        run.start_training(long_run({"cluster.dead_after=3600 s", "faults.step_timeout=3 s"}));
    const auto victim = worker_under_way(run, *program, 0);
    REQUIRE(victim > 0);
    REQUIRE(::kill(victim, SIGSTOP) == 0);
    const auto outcome = program->wait();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.errors, "pid " + std::to_string(victim)));
    CHECK(contains(outcome.errors, "has hung"));
    CHECK(contains(outcome.errors, "has not entered "));
    CHECK(contains(outcome.errors, " of group dp; rank "));
    CHECK(contains(outcome.errors, "go on from the newest checkpoint: fulgur train recipe.yaml"));
    CHECK(run.metrics().size() == kSteps);
  }

  TEST_CASE(
      "a crash loop without a new checkpoint ends with 93 after as many attempts as allowed") {
    const TinyRun run;
    const auto program = run.start_training(
        {"train.steps=1000000", "checkpoint.every=0", "faults.no_progress=3", "faults.restarts=9"});
    for (std::size_t attempt = 0; attempt < 3; ++attempt) {
      REQUIRE(eventually([&] {
        return events(run, "restart").size() == attempt && children_of(program->pid()).size() == 2;
      }));
      ::kill(children_of(program->pid()).front(), SIGKILL);
    }
    const auto end = program->wait();
    INFO(end.errors);
    CHECK(end.exit_code == 93);
    CHECK(contains(end.errors, "3 attempts in a row failed without a new checkpoint"));
    CHECK(contains(read_text(run.directory() / "verdict.txt"), "SIGKILL"));
    CHECK(all_gone(run));
  }
}
