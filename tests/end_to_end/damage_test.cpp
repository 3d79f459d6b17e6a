#include <doctest/doctest.h>

#include "tests/end_to_end/tiny_run.hpp"

using namespace fulgur::test;

namespace {

namespace fs = std::filesystem;

}  // namespace

TEST_SUITE("end_to_end/damage") {
  TEST_CASE("a damaged newest checkpoint is named, and the one before it is taken") {
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    damage(run.checkpoint(6) / "shard-00001.h5");

    const auto verified = run.fulgur({"ckpt", "verify", "run"});
    CHECK(verified.exit_code == 65);
    CHECK(contains(verified.errors, "shard-00001.h5"));
    CHECK(contains(verified.output, "step-0000000004: sound"));

    const auto outcome = run.train_to(8);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.errors, "step-0000000006"));
    CHECK(contains(outcome.errors, "shard-00001.h5"));
    CHECK(contains(outcome.output, "going on from step 4"));
    check_same(*undisturbed(8), run, 8);
  }

  TEST_CASE("when all checkpoints are damaged the run refuses to start and nothing is lost") {
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    damage(run.checkpoint(4) / "manifest.json");
    fs::resize_file(run.checkpoint(6) / "shard-00000.h5", 1000);
    const auto before = snapshot(run.directory() / "checkpoints");
    const auto metrics = run.metrics();
    const auto outcome = run.train_to(8);
    CHECK(outcome.exit_code == 65);
    CHECK(contains(outcome.errors, "step-0000000004"));
    CHECK(contains(outcome.errors, "manifest.json"));
    CHECK(contains(outcome.errors, "step-0000000006"));
    CHECK(contains(outcome.errors, "shard-00000.h5"));
    CHECK(snapshot(run.directory() / "checkpoints") == before);
    CHECK(run.metrics() == metrics);
  }

  TEST_CASE("generate refuses a damaged checkpoint and names it") {
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    damage(run.checkpoint(6) / "shard-00000.h5");
    const auto outcome =
        run.fulgur({"generate", run.checkpoint(6).string(), "--prompt", "The ", "--tokens", "3"});
    CHECK(outcome.exit_code == 65);
    CHECK(contains(outcome.errors, "shard-00000.h5"));
  }

  // No file may grow past 64 KiB here, and a shard has 90: the nearest thing to a full disk that needs
  // no rights. UCX goes over sockets, as its shared memory is files too.
  TEST_CASE("a checkpoint that does not fit on the disk is told, and the older ones stay") {
    const TinyRun run;
    REQUIRE(run.train_to(4).exit_code == 0);
    const auto before = run.bits(4);
    const auto outcome = Program({"sh", "-c", "ulimit -f 128; exec \"$@\"", "sh", FULGUR_PROGRAM,
                                  "train", "recipe.yaml", "--set", "train.steps=8"},
                                 run.folder(), {{"UCX_TLS", "tcp,self"}})
                             .wait();
    INFO(outcome.output);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 1);
    CHECK(contains(outcome.output + outcome.errors, "checkpoint of step 8 was not written"));
    CHECK(contains(outcome.output + outcome.errors, "File too large"));
    CHECK(run.checkpoints() == std::vector<std::int64_t>{4});
    CHECK(run.bits(4) == before);
    CHECK(all_gone(run));

    const auto resumed = run.train_to(8);
    INFO(resumed.errors);
    CHECK(resumed.exit_code == 0);
    check_same(*undisturbed(8), run, 8);
  }
}
