#include <doctest/doctest.h>

#include <csignal>

#include "tests/end_to_end/tiny_run.hpp"
#include "tests/support/processes.hpp"

using namespace fulgur::test;

namespace {

namespace fs = std::filesystem;

// No file may grow past the limit here, and a shard would: the nearest thing to a full disk that needs
// no rights. UCX goes over sockets, as its shared memory is files too.
std::unique_ptr<Program> train_with_little_room(const TinyRun& run, int kib,
                                                const std::vector<std::string>& overrides) {
  const auto limit = "ulimit -f " + std::to_string(2 * kib) + "; exec \"$@\"";
  std::vector<std::string> command{"sh", "-c", limit, "sh", FULGUR_PROGRAM, "train", "recipe.yaml"};
  for (const auto& each : overrides) {
    command.emplace_back("--set");
    command.push_back(each);
  }
  return std::make_unique<Program>(std::move(command), run.folder(),
                                   std::map<std::string, std::string>{{"UCX_TLS", "tcp,self"}});
}

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

  TEST_CASE("a checkpoint that does not fit on the disk is told, and the older ones stay") {
    const TinyRun run;
    REQUIRE(run.train_to(4).exit_code == 0);
    const auto before = run.bits(4);
    const auto outcome = train_with_little_room(run, 64, {"train.steps=8"})->wait();
    INFO(outcome.output);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 1);
    CHECK(contains(outcome.output, "the checkpoint of step 8 was not written"));
    CHECK(contains(outcome.output, "File too large"));
    CHECK(contains(outcome.errors, "the last checkpoint (step 8) was not written"));
    CHECK(run.checkpoints() == std::vector<std::int64_t>{4});
    CHECK(run.bits(4) == before);
    CHECK(all_gone(run));

    const auto resumed = run.train_to(8);
    INFO(resumed.errors);
    CHECK(resumed.exit_code == 0);
    check_same(*undisturbed(8), run, 8);
  }

  TEST_CASE("a stop whose checkpoint cannot be written is no clean stop") {
    const TinyRun run;
    // The shards of this model have some 900 KiB; metrics.jsonl stays small for thousands of steps.
    const auto program = train_with_little_room(
        run, 512,
        {"train.steps=1000000", "checkpoint.every=0", "model.hidden=64", "model.expert_hidden=64"});
    REQUIRE(eventually([&] { return !run.metrics().empty(); }));
    program->signal(SIGTERM);
    const auto outcome = program->wait();
    INFO(outcome.output);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 1);
    CHECK(contains(outcome.errors, "was not written"));
    CHECK(run.checkpoints().empty());
    CHECK(all_gone(run));
  }
}
