#include <doctest/doctest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <csignal>
#include <thread>

#include "tests/end_to_end/tiny_run.hpp"
#include "tests/support/processes.hpp"

using namespace fulgur::test;

// What is killed here runs without an end in sight, so that no test depends on how fast a machine is.

namespace {

const std::vector<std::string> kEndless{"train.steps=1000000", "checkpoint.every=20",
                                        "faults.restarts=0"};

// The rank of a worker, as the run's own file tells.
std::size_t rank_of(const TinyRun& run, pid_t pid) {
  const auto file = boost::json::parse(read_text(run.directory() / "run.json"));
  const auto& workers = file.at("workers").as_array();
  const auto found = std::find_if(workers.begin(), workers.end(), [pid](const auto& each) {
    return each.at("pid").as_int64() == pid;
  });
  return static_cast<std::size_t>(found - workers.begin());
}

}  // namespace

TEST_SUITE("end_to_end/death") {
  TEST_CASE("a killed worker ends the run at once, named, and the run goes on as if undisturbed") {
    const TinyRun run;
    const auto program = run.start_training(kEndless);
    REQUIRE(is_under_way(run));
    const auto workers = children_of(program->pid());
    REQUIRE(workers.size() == 2);
    const auto victim = workers.back();
    const auto rank = rank_of(run, victim);
    REQUIRE(rank < 2);
    REQUIRE(::kill(victim, SIGKILL) == 0);

    const auto outcome = program->wait();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 1);
    CHECK(contains(outcome.errors, "fulgur: rank " + std::to_string(rank)));
    CHECK(contains(outcome.errors, "pid " + std::to_string(victim)));
    CHECK(contains(outcome.errors, "SIGKILL"));
    CHECK_FALSE(contains(outcome.errors, "fulgur: rank " + std::to_string(1 - rank)));  // no cause
    CHECK(contains(outcome.errors, "fulgur train recipe.yaml train.steps=1000000"));
    CHECK(all_gone(run));

    const auto steps = run.checkpoints().back() + 3;
    const auto resumed = run.train_to(steps);
    INFO(resumed.errors);
    CHECK(resumed.exit_code == 0);
    CHECK(contains(resumed.output, "going on from step " + std::to_string(steps - 3)));
    check_same(*undisturbed(steps), run, steps);
  }

  TEST_CASE("no worker outlives a killed coordinator, and the run goes on as if undisturbed") {
    const TinyRun run;
    const auto program = run.start_training(kEndless);
    REQUIRE(is_under_way(run));
    program->signal(SIGKILL);
    CHECK(program->wait().signal == SIGKILL);
    CHECK(all_gone(run));

    const auto steps = run.checkpoints().back() + 3;
    CHECK(run.train_to(steps).exit_code == 0);
    check_same(*undisturbed(steps), run, steps);
  }

  TEST_CASE("kills in the midst of checkpoints lose none that was committed") {
    const TinyRun run;
    std::int64_t newest = 0;
    for (int kill = 0; kill < 6; ++kill) {
      const auto program = run.start_training({"train.steps=1000000", "checkpoint.every=1"});
      REQUIRE(eventually([&] {
        const auto saved = run.checkpoints();
        return !saved.empty() && saved.back() > newest + kill;
      }));
      // Any moment of a step will do, and each round takes another.
      std::this_thread::sleep_for(std::chrono::milliseconds(3 * kill));
      program->signal(SIGKILL);
      program->wait();
      REQUIRE(all_gone(run));
      const auto saved = run.checkpoints();
      REQUIRE(saved.back() > newest);
      newest = saved.back();
      CHECK(run.fulgur({"ckpt", "verify", "run"}).exit_code == 0);
    }
    CHECK(run.train_to(newest + 1).exit_code == 0);
    check_same(*undisturbed(newest + 1), run, newest + 1);
  }

  TEST_CASE("a stopped worker that gives no sign of life is named and killed") {
    const TinyRun run;
    auto overrides = kEndless;
    overrides.insert(overrides.end(), {"cluster.heartbeat=200 ms", "cluster.dead_after=2 s"});
    const auto program = run.start_training(overrides);
    REQUIRE(is_under_way(run));
    const auto workers = children_of(program->pid());
    REQUIRE(workers.size() == 2);
    const auto rank = rank_of(run, workers.front());
    REQUIRE(::kill(workers.front(), SIGSTOP) == 0);

    const auto outcome = program->wait();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 1);
    CHECK(contains(outcome.errors, "rank " + std::to_string(rank)));
    CHECK(contains(outcome.errors, "no sign of life"));
    CHECK(all_gone(run));
  }
}
