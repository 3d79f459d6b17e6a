#include <doctest/doctest.h>

#include <filesystem>

#include "runtime/checkpoint/reader.hpp"
#include "tests/end_to_end/tiny_run.hpp"

using namespace fulgur;
using namespace fulgur::test;

TEST_SUITE("end_to_end/parity") {
  TEST_CASE("two layouts are found equal to one rank, and what was compared can be kept") {
    const TinyRun run;
    const auto outcome = run.fulgur({"parity", "recipe.yaml", "--layout", "dp=2", "--layout",
                                     "pp=2,tp=2", "--steps", "2", "--output", "kept", "--set",
                                     "model.vocabulary=264", "--set", "model.kv_heads=2"});
    CAPTURE(outcome.output);
    CAPTURE(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK(outcome.errors.empty());
    CHECK(contains(outcome.output, "dp=2 against one rank: equal"));
    CHECK(contains(outcome.output, "pp=2,tp=2 against one rank: equal"));
    CHECK_FALSE(contains(outcome.output, "DIFFERENT"));
    CHECK(contains(outcome.output, "near ties (gap up to 1e-05): 0, of which 0 replayed"));
    CHECK_FALSE(std::filesystem::exists(run.directory()));
    for (const auto* each : {"run-0", "run-1", "run-2"}) {
      CAPTURE(each);
      const auto root = run.folder() / "kept" / each / "checkpoints";
      CHECK(list_checkpoints(root).size() == 2);
      CHECK(verify_checkpoint(checkpoint_folder(root, 1)).empty());
    }
  }

  TEST_CASE("phases that begin behind the steps are no hindrance, others are refused") {
    const TinyRun run;
    const auto parity = [&](const std::string& from) {
      return run.fulgur({"parity", "recipe.yaml", "--layout", "dp=2", "--steps", "2", "--set",
                         "phases=[{from: " + from + ", batch: 8}]"});
    };
    const auto behind = parity("100000");
    CAPTURE(behind.errors);
    CHECK(behind.exit_code == 0);
    CHECK(contains(behind.output, "dp=2 against one rank: equal"));
    const auto among = parity("64");
    CHECK(among.exit_code == 2);
    CHECK(contains(among.errors, "phase 0 begins at 64"));
    CHECK(among.output.empty());
  }

  TEST_CASE("a layout that breaks a rule starts nothing, and all of them are told") {
    const TinyRun run;
    const auto before = snapshot(run.folder());
    const auto wrong =
        run.fulgur({"parity", "recipe.yaml", "--layout", "dp=3", "--layout", "tp=2"});
    CAPTURE(wrong.errors);
    CHECK(wrong.exit_code == 78);
    CHECK(contains(wrong.errors, "dp 3"));
    CHECK(contains(wrong.errors, "tp 2 does not divide vocabulary 257"));
    CHECK(wrong.output.empty());

    const auto usage = run.fulgur({"parity", "recipe.yaml", "--layout", "dq=2"});
    CHECK(usage.exit_code == 2);
    CHECK(contains(usage.errors, "dq=2"));
    CHECK(run.fulgur({"parity", "recipe.yaml"}).exit_code == 2);
    CHECK(run.fulgur({"parity", "recipe.yaml", "--layout", "dp=2", "--steps", "0"}).exit_code == 2);
    CHECK(run.fulgur({"parity", "recipe.yaml", "--layout", "dp=2", "--output", "."}).exit_code ==
          2);
    CHECK(snapshot(run.folder()) == before);
  }
}
