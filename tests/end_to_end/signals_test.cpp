#include <doctest/doctest.h>

#include <csignal>

#include "tests/end_to_end/tiny_run.hpp"
#include "tests/support/processes.hpp"

using namespace fulgur::test;

namespace {

// A checkpoint only of the stop itself, once the first steps are done.
const std::vector<std::string> kEndless{"train.steps=1000000", "checkpoint.every=0"};

bool has_steps(const TinyRun& run) {
  return eventually([&] { return contains(read_text(run.directory() / "metrics.jsonl"), "\n"); });
}

// The run has stopped where its checkpoint is, and goes on as if it never had.
void check_stopped(const TinyRun& run, const Outcome& outcome, const std::string& name) {
  INFO(outcome.errors);
  CHECK(outcome.exit_code == 75);
  CHECK(contains(outcome.output, name));
  CHECK(all_gone(run));
  REQUIRE(run.checkpoints().size() == 1);
  const auto stopped_at = run.checkpoints().back();
  CHECK(run.metrics().back().step == stopped_at);
  CHECK(contains(outcome.output, "stopped at step " + std::to_string(stopped_at)));

  const auto steps = stopped_at + 3;
  const auto resumed = run.train_to(steps);
  INFO(resumed.errors);
  CHECK(resumed.exit_code == 0);
  check_same(*undisturbed(steps), run, steps);
}

}  // namespace

TEST_SUITE("end_to_end/signals") {
  TEST_CASE("SIGTERM stops a run with a checkpoint from which it goes on bit for bit") {
    const TinyRun run;
    const auto program = run.start_training(kEndless);
    REQUIRE(has_steps(run));
    program->signal(SIGTERM);
    check_stopped(run, program->wait(), "SIGTERM");
  }

  TEST_CASE("SIGINT stops a run with a checkpoint from which it goes on bit for bit") {
    const TinyRun run;
    const auto program = run.start_training(kEndless);
    REQUIRE(has_steps(run));
    program->signal(SIGINT);
    check_stopped(run, program->wait(), "SIGINT");
  }

  TEST_CASE("SIGTERM to a single worker stops the whole run with a checkpoint") {
    const TinyRun run;
    const auto program = run.start_training(kEndless);
    REQUIRE(has_steps(run));
    const auto workers = children_of(program->pid());
    REQUIRE(workers.size() == 2);
    REQUIRE(::kill(workers.back(), SIGTERM) == 0);
    check_stopped(run, program->wait(), "SIGTERM");
  }

  TEST_CASE("a signal before the first step ends the run without harm") {
    const TinyRun run;
    const auto program = run.start_training(kEndless);
    REQUIRE(eventually([&] { return children_of(program->pid()).size() == 2; }));
    program->signal(SIGTERM);
    const auto outcome = program->wait();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 75);
    CHECK(all_gone(run));
    CHECK(run.train_to(3).exit_code == 0);
  }

  TEST_CASE("SIGTERM ends a run within seconds whose workers hang before the first step") {
    const TinyRun run;
    const auto program = run.start_training(kEndless);
    REQUIRE(eventually([&] { return children_of(program->pid()).size() == 2; }));
    for (const pid_t worker : children_of(program->pid()))
      ::kill(worker, SIGSTOP);
    program->signal(SIGTERM);
    const auto outcome = program->wait();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 75);
    CHECK(all_gone(run));
  }

  TEST_CASE("a second SIGINT ends a run at once") {
    const TinyRun run;
    const auto program = run.start_training(kEndless);
    REQUIRE(has_steps(run));
    for (const pid_t worker : children_of(program->pid()))
      ::kill(worker, SIGSTOP);  // none can finish its step and stop by itself
    program->signal(SIGINT);
    REQUIRE(eventually([&] { return contains(program->output(), "SIGINT"); }));
    program->signal(SIGINT);
    const auto outcome = program->wait();
    CHECK(outcome.exit_code == 128 + SIGINT);
    CHECK(run.checkpoints().empty());
    CHECK(all_gone(run));
  }
}
