#include <doctest/doctest.h>

#include <csignal>

#include "tests/end_to_end/tiny_run.hpp"

using namespace fulgur::test;

TEST_SUITE("end_to_end/run_directory") {
  TEST_CASE("a run directory in use is refused with the number of its process") {
    const TinyRun run;
    const auto first = run.start_training({"train.steps=1000000", "checkpoint.every=20"});
    REQUIRE(is_under_way(run));
    const auto second = run.train();
    CHECK(second.exit_code == 73);
    CHECK(contains(second.errors, "process " + std::to_string(first->pid())));
    CHECK(contains(second.errors, "run"));
    CHECK(first->runs());
    first->signal(SIGTERM);
    CHECK(first->wait().exit_code == 75);
  }

  TEST_CASE("a run is not continued with another model, and the differing field is named") {
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    const auto before = run.bits(6);
    const auto metrics = run.metrics();
    const auto outcome = run.train({"model.hidden=32", "train.steps=9"});
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 78);
    CHECK(contains(outcome.errors, "model.hidden: 16 then, 32 now"));
    CHECK_FALSE(contains(outcome.errors, "train.steps"));  // which a run may change
    CHECK(run.metrics() == metrics);
    CHECK(run.bits(6) == before);
  }

  TEST_CASE("a fixed field may change when that is allowed, and what changed is told") {
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    const std::vector<std::string> change = {"optimizer.weight_decay=0.3", "train.steps=9"};
    auto refused = run.train(change);
    CHECK(refused.exit_code == 78);
    CHECK(contains(refused.errors, "--allow-change optimizer.weight_decay"));
    const auto outcome = run.fulgur(
        {"train", "recipe.yaml", change[0], change[1], "--allow-change", "optimizer.weight_decay"});
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(
        contains(outcome.output, "changed since (fixed): optimizer.weight_decay was 0.1, is 0.3"));
    CHECK(contains(outcome.output, "changed since (free): train.steps was 6, is 9"));
    CHECK(run.checkpoints().back() == 9);
    // The new value is now the run's own.
    CHECK(run.train({change[0], "train.steps=10"}).exit_code == 0);
    CHECK(run.train({"train.steps=11"}).exit_code == 78);
  }

  TEST_CASE("a run is not continued with a text that has changed") {
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    std::ofstream(run.folder() / "text.txt", std::ios::app) << "One more line.\n";
    const auto outcome = run.train_to(9);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 65);
    CHECK(contains(outcome.errors, "text"));
    CHECK(run.checkpoints().back() == 6);
  }
}
