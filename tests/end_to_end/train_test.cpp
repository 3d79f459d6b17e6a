#include <doctest/doctest.h>

#include <algorithm>

#include "tests/end_to_end/tiny_run.hpp"
#include "tests/support/processes.hpp"

using namespace fulgur::test;

namespace {

// How many names in a folder begin so. They may come and go meanwhile.
std::ptrdiff_t count_names(const std::filesystem::path& folder, const std::string& begin) {
  std::error_code none;
  std::ptrdiff_t count = 0;
  for (auto at = std::filesystem::directory_iterator(folder, none);
       at != std::filesystem::directory_iterator(); at.increment(none)) {
    if (at->path().filename().string().starts_with(begin)) ++count;
  }
  return count;
}

}  // namespace

TEST_SUITE("end_to_end/train") {
  TEST_CASE("a run leaves one line for every step and checkpoints that are sound") {
    const TinyRun run;
    const auto outcome = run.train();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.errors.empty());

    const auto metrics = run.metrics();
    REQUIRE(metrics.size() == 6);
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      CHECK(metrics[i].step == static_cast<std::int64_t>(i) + 1);
      CHECK(metrics[i].tokens == metrics[i].step * 4 * 32);
    }
    CHECK(metrics.back().loss < metrics.front().loss);
    CHECK(run.checkpoints() == std::vector<std::int64_t>{4, 6});
    CHECK(all_gone(run));

    const auto verified = run.fulgur({"ckpt", "verify", "run"});
    CHECK(verified.exit_code == 0);
    CHECK(contains(verified.output, "step-0000000004: sound"));
    CHECK(contains(verified.output, "step-0000000006: sound"));
    const auto shown = run.fulgur({"ckpt", "show", "run"});
    CHECK(shown.exit_code == 0);
    CHECK(contains(shown.output, "15,072"));
    CHECK(contains(run.fulgur({"ckpt", "ls", "run"}).output, "step-0000000006"));
  }

  TEST_CASE("progress comes in whole plain lines when no terminal is there") {
    const TinyRun run;
    const auto output = run.train().output;
    CHECK(contains(output, "\nstep 1/6 | 128 tokens | loss "));
    CHECK(contains(output, "\nstep 6/6 | 768 tokens | loss "));
    CHECK(contains(output, "step-0000000006\n"));
    CHECK(output.find_first_of("\r\x1b") == std::string::npos);
    CHECK(output.back() == '\n');
  }

  TEST_CASE("progress is one line that is written over on a terminal of the width that it has") {
    const TinyRun run;
    const auto command = std::string(FULGUR_PROGRAM) + " train recipe.yaml";
    const auto outcome = Program({"script", "-qec", command, "/dev/null"}, run.folder(),
                                 {{"TERM", "xterm"}, {"COLUMNS", "40"}})
                             .wait();
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.output, "\rstep 1/6 | 128 tokens | "));
    CHECK(contains(outcome.output, "\rstep 6/6 | 768 tokens | "));
    CHECK_FALSE(contains(outcome.output, "\nstep "));
    CHECK_FALSE(contains(outcome.output, "left"));  // at the end of a line that is not cut
  }

  TEST_CASE("a run ends with a sample when the recipe asks for one") {
    const TinyRun run;
    const auto outcome = run.train({"sample.prompt=The square of ", "sample.tokens=8"});
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.output, "\nThe square of "));
  }

  TEST_CASE("h5dump shows whole tensors in the index of a checkpoint") {
    const std::string h5dump = FULGUR_H5DUMP;
    REQUIRE_MESSAGE(!h5dump.empty(), "h5dump is not installed");
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    const auto index = (run.checkpoint(6) / "index.h5").string();
    const auto shape =
        Program({h5dump, "-H", "-d", "/model/embedding", index}, run.folder()).wait();
    CHECK(shape.exit_code == 0);
    CHECK(contains(shape.output, "( 257, 16 ) / ( 257, 16 )"));
    // The values are there too: a virtual dataset whose sources are missing shows its fill value.
    const auto norm = Program({h5dump, "-d", "/model/final_norm", index}, run.folder()).wait();
    CHECK(norm.exit_code == 0);
    CHECK(contains(norm.output, "(0): "));
    CHECK_FALSE(contains(norm.output, "(0): 0, 0, 0"));
    CHECK_FALSE(contains(norm.output, "nan"));
  }

  TEST_CASE("a complete run says so and changes nothing when it is started again") {
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    const auto before = snapshot(run.directory());
    const auto outcome = run.train();
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.output, "complete"));
    auto after = snapshot(run.directory());
    const auto lock = (run.directory() / "lock").string();  // has the number of the latest process
    CHECK(after.at(lock) != before.at(lock));
    after[lock] = before.at(lock);
    CHECK(after == before);
  }

  TEST_CASE("a run that goes on is bit-equal to one that was never interrupted") {
    const TinyRun run;
    REQUIRE(run.train_to(7).exit_code == 0);  // step 7 is in no schedule of checkpoints
    const auto outcome = run.train_to(12);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.output, "step 8/12"));
    check_same(*undisturbed(12), run, 12);
  }

  TEST_CASE("worker processes on unlike layouts take the same steps, one going on from the other") {
    const std::vector<std::string> model = {"model.vocabulary=258", "model.experts=4"};
    const auto train = [&](const TinyRun& run, std::vector<std::string> overrides) {
      overrides.insert(overrides.end(), model.begin(), model.end());
      const auto outcome = run.train(overrides);
      INFO(outcome.errors);
      REQUIRE(outcome.exit_code == 0);
    };
    const TinyRun one_rank, run;
    train(one_rank, {"layout.dp=1", "train.steps=8"});
    train(run, {"layout.dp=1", "layout.pp=2", "layout.cp=2", "layout.ep=2", "train.steps=3"});
    train(run, {"layout.dp=2", "layout.tp=2", "layout.etp=2", "experts.token_groups=2",
                "train.steps=5"});
    train(run, {"layout.dp=2", "layout.pp=2", "layout.cp=2", "layout.ep=4", "train.steps=8",
                "memory.recompute=selective", "pipeline.schedule=zero_bubble"});
    const auto expected = one_rank.metrics();
    const auto steps = run.metrics();
    REQUIRE(steps.size() == expected.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      CHECK(steps[i].tokens == expected[i].tokens);
      CHECK(steps[i].loss == doctest::Approx(expected[i].loss).epsilon(1e-5));
      CHECK(steps[i].gradient_norm == doctest::Approx(expected[i].gradient_norm).epsilon(1e-3));
    }
  }

  TEST_CASE("a checkpoint is begun only when the one before it is committed") {
    const TinyRun run;
    const auto program = run.start_training({"train.steps=100", "checkpoint.every=1"});
    std::ptrdiff_t most = 0;
    REQUIRE(eventually([&] {
      most = std::max(most, count_names(run.directory() / "checkpoints", ".tmp-step-"));
      return !program->runs();
    }));
    CHECK(program->wait().exit_code == 0);
    CHECK(most <= 1);
    CHECK(run.checkpoints() == std::vector<std::int64_t>{98, 99, 100});
  }

  TEST_CASE("--resume never starts afresh and keeps what was there") {
    const TinyRun run;
    REQUIRE(run.train_to(6).exit_code == 0);
    const auto first = run.bits(6);
    const auto outcome = run.fulgur({"train", "recipe.yaml", "--resume", "never"});
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.output, "step 1/6"));
    CHECK(run.metrics().size() == 6);
    CHECK(run.bits(6) == first);
    const auto files = snapshot(run.directory());
    const auto kept = std::count_if(files.begin(), files.end(), [](const auto& file) {
      return contains(file.first, "before-attempt-") && contains(file.first, "shard-00000.h5");
    });
    CHECK(kept == 2);
  }

  TEST_CASE("several overrides, with and without --set, hold together") {
    const TinyRun run;
    const auto outcome = run.fulgur(
        {"train", "recipe.yaml", "train.steps=3", "checkpoint.every=1", "--set", "layout.dp=1"});
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(run.checkpoints() == std::vector<std::int64_t>{1, 2, 3});
  }
}
