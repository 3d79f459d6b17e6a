#include <doctest/doctest.h>

#include <fstream>

#include "runtime/checkpoint/reader.hpp"
#include "tests/end_to_end/tiny_run.hpp"

namespace fulgur::test {
namespace {

// Two sequences of 32 tokens a step at first. The boundaries are at steps 2, 4 and 6: 128, 384, 768 tokens.
void add_phases(const TinyRun& run) {
  std::ofstream(run.recipe(), std::ios::app)
      << "phases:\n"
         "  - {from: 128, batch: 4}\n"
         "  - {from: 384, sequence_length: 48, learning_rate: 2e-3}\n"
         "  - {from: 760, sequence_length: 16, batch: 2, micro_batch: 2, learning_rate: 1e-3}\n";
}

const std::vector<std::string> kStart = {"train.batch=2",
                                         "train.micro_batch=2",
                                         "train.sequence_length=32",
                                         "checkpoint.keep=100",
                                         "checkpoint.every=0",
                                         "optimizer.learning_rate.decay_from=0",
                                         "optimizer.learning_rate.decay_tokens=0",
                                         "optimizer.learning_rate.warmup_tokens=256"};

std::vector<std::string> to_step(int steps) {
  auto overrides = kStart;
  overrides.push_back("train.steps=" + std::to_string(steps));
  return overrides;
}

TEST_SUITE("end_to_end/phases") {
  TEST_CASE("a run goes through its phases, and each ends in a checkpoint") {
    const TinyRun run;
    add_phases(run);
    const auto outcome = run.train(to_step(8));
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    const auto metrics = run.metrics();
    REQUIRE(metrics.size() == 8);
    const std::vector<std::int64_t> tokens = {64, 128, 256, 384, 576, 768, 800, 832};
    for (std::size_t i = 0; i < tokens.size(); ++i)
      CHECK(metrics[i].tokens == tokens[i]);
    CHECK(metrics[4].learning_rate ==
          doctest::Approx(2e-3 + (1e-3 - 2e-3) * (576. - 384) / (760 - 384)).epsilon(1e-9));
    CHECK(metrics[6].learning_rate == 1e-3);
    CHECK(run.checkpoints() == std::vector<std::int64_t>{2, 4, 6, 8});
  }

  TEST_CASE("a run that is resumed within and between phases is the same to the last bit") {
    const TinyRun whole, parts;
    add_phases(whole);
    add_phases(parts);
    REQUIRE(whole.train(to_step(9)).exit_code == 0);
    for (const int steps : {3, 4, 5, 6, 9})
      REQUIRE(parts.train(to_step(steps)).exit_code == 0);
    CHECK(whole.metrics() == parts.metrics());
    CHECK(whole.bits(9) == parts.bits(9));
  }

  TEST_CASE("a phase on another layout goes on where the one before it ended, to rounding") {
    const TinyRun one, other;
    add_phases(one);
    std::ofstream(other.recipe(), std::ios::app)
        << "phases:\n"
           "  - {from: 128, batch: 4, layout: {dp: 1, tp: 2, ep: 1}}\n"
           "  - {from: 384, sequence_length: 48, learning_rate: 2e-3}\n"
           "  - {from: 760, sequence_length: 16, batch: 2, micro_batch: 2, learning_rate: 1e-3,"
           " layout: {tp: 1, cp: 2, pp: 2}}\n";
    const auto even = [](int steps) {  // a vocabulary that tp cuts
      auto overrides = to_step(steps);
      overrides.emplace_back("model.vocabulary=258");
      return overrides;
    };
    REQUIRE(one.train(even(9)).exit_code == 0);
    // A stop in the middle of the second layout, and a resume there.
    const auto first = other.train(even(5));
    INFO(first.errors);
    REQUIRE(first.exit_code == 0);
    const auto outcome = other.train(even(9));
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK(contains(outcome.output, "2 workers started"));
    CHECK(contains(outcome.output, "4 workers started"));
    CHECK_FALSE(contains(outcome.output, "changed since (layout)"));
    const auto expected = one.metrics(), metrics = other.metrics();
    REQUIRE(metrics.size() == expected.size());
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      CHECK(metrics[i].step == expected[i].step);
      CHECK(metrics[i].tokens == expected[i].tokens);
      CHECK(metrics[i].learning_rate == expected[i].learning_rate);
      CHECK(metrics[i].loss == doctest::Approx(expected[i].loss).epsilon(1e-5));
    }
    CHECK(other.checkpoints() == std::vector<std::int64_t>{2, 4, 5, 6, 9});
  }

  TEST_CASE("sources side by side: a changed mix is refused, and goes on when it is allowed") {
    const TinyRun run;
    std::ofstream(run.folder() / "more.txt") << std::string(4000, 'x');
    std::ofstream(run.recipe(), std::ios::app)
        << "phases:\n"
           "  - {from: 256, mix: {squares: 1, letters: 3}, mix_over: 300, rope_base: 100}\n";
    const auto with_sources = [](int steps, const std::string& weights) {
      auto overrides = to_step(steps);
      overrides.insert(overrides.end(), {"data.files=[]",
                                         "data.sources=[{name: squares, files: [text.txt]}, "
                                         "{name: letters, files: [more.txt]}]",
                                         "data.sources.weight=" + weights});
      return overrides;
    };
    REQUIRE(run.train(with_sources(3, "[1, 1]")).exit_code == 0);
    const auto refused = run.train(with_sources(9, "[3, 1]"));
    CHECK(refused.exit_code == 78);
    CHECK(contains(refused.errors, "data.sources.weight"));
    auto allowed = with_sources(9, "[3, 1]");
    allowed.emplace_back("resume.allow_change=[data.sources.weight]");
    const auto outcome = run.train(allowed);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    // All that was read is all that was seen: nothing was lost, nothing read twice.
    const CheckpointReader reader(run.checkpoint(9));
    const auto& manifest = reader.manifest();
    REQUIRE(manifest.data.sources.size() == 2);
    CHECK(manifest.data.sources[0].tokens + manifest.data.sources[1].tokens == manifest.tokens);
    CHECK(manifest.data.sources[1].tokens > 0);
    CHECK(manifest.data.anchor == run.metrics()[2].tokens);
  }

  TEST_CASE("a later phase cannot be changed behind the run's back") {
    const TinyRun run;
    add_phases(run);
    REQUIRE(run.train(to_step(3)).exit_code == 0);
    auto change = to_step(4);
    change.push_back("phases=[{from: 128, batch: 4}]");
    const auto outcome = run.train(change);
    CHECK(outcome.exit_code == 78);
    CHECK(contains(outcome.errors, "phases.from"));
  }

  TEST_CASE("check tells the phases") {
    const TinyRun run;
    add_phases(run);
    auto arguments = to_step(9);
    arguments.insert(arguments.begin(), {"check", "recipe.yaml"});
    const auto outcome = run.fulgur(arguments);
    INFO(outcome.errors);
    CHECK(
        contains(outcome.output, "phase 1 from 384 tokens: 192 tokens a step, 4 sequences of 48"));
    CHECK(contains(outcome.output, "9 steps, 864 tokens"));
  }
}

}  // namespace
}  // namespace fulgur::test
