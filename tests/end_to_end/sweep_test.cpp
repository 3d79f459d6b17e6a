#include <doctest/doctest.h>

#include <fstream>

#include "tests/end_to_end/tiny_run.hpp"

namespace fulgur::test {
namespace {

std::vector<std::string> sweep(const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"sweep", "recipe.yaml", "sweep.layout=auto", "sweep.steps=5",
                                     "sweep.warmup=1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_SUITE("end_to_end/sweep") {
  TEST_CASE(
      "a sweep runs the best layouts, goes on where it was, and leaves a recipe that trains") {
    const TinyRun run;
    const auto folder = run.folder() / "run-sweep";
    const auto first = run.fulgur(sweep({"sweep.best=2", "sweep.slower=1000"}));
    INFO(first.errors);
    REQUIRE(first.exit_code == 0);
    CHECK(first.output.find("trial 2 of 2") != std::string::npos);
    CHECK(first.output.find("fastest: ") != std::string::npos);
    CHECK(std::filesystem::exists(folder / "trials.csv"));
    CHECK(std::filesystem::exists(folder / "pareto.svg"));

    // A third is run; the two before are only read.
    const auto second = run.fulgur(sweep({"sweep.best=3", "sweep.slower=1000"}));
    INFO(second.errors);
    REQUIRE(second.exit_code == 0);
    std::size_t started = 0;
    for (auto at = second.output.find("started; logs in"); at != std::string::npos;
         at = second.output.find("started; logs in", at + 1))
      ++started;
    CHECK(started == 1);
    std::size_t trials = 0;
    for (const auto& each : std::filesystem::directory_iterator(folder / "trials")) {
      ++trials;
      CHECK_FALSE(std::filesystem::exists(each.path() / "checkpoints" / "step-0000000005"));
    }
    CHECK(trials == 3);

    const auto best = run.fulgur({"train", "run-sweep/best.yaml", "train.steps=2"});
    INFO(best.errors);
    CHECK(best.exit_code == 0);
    CHECK(run.checkpoints() == std::vector<std::int64_t>{2});
  }

  TEST_CASE("a dry run starts nothing, and a sweep without a layout that can run says so") {
    const TinyRun run;
    const auto dry = run.fulgur(sweep({"--dry-run"}));
    CHECK(dry.exit_code == 0);
    CHECK(dry.output.find("can run") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(run.folder() / "run-sweep"));
    const auto none = run.fulgur(sweep({"sweep.where=[layout.tp > 64]"}));
    CHECK(none.exit_code == 78);
    CHECK(none.errors.find("no combination of the sweep can run") != std::string::npos);
  }
}

}  // namespace
}  // namespace fulgur::test
