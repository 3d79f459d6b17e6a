#include "recipes/phases.hpp"

#include <doctest/doctest.h>

#include <string>

#include "recipes/canonical.hpp"
#include "tests/recipes/dsl/recipe_folder.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

using Folder = test::RecipeFolder;

const std::string kPhases = R"(phases:
  - {from: 10k, batch: 16}
  - {from: 20k, sequence_length: 256, learning_rate: 1e-3}
  - from: 40k tokens
    batch: 32
    micro_batch: 16
    learning_rate: 3e-4
)";

Job job_with_rate(const LearningRateSpec& spec) {
  Job job;
  job.optimizer.learning_rate = spec;
  return job;
}

TEST_SUITE("recipes/phases") {
  TEST_CASE("a list of phases becomes a list of each value") {
    const Folder folder(test::kGoodRecipe + kPhases);
    const auto loaded = folder.load();
    const auto& phases = loaded.job.phases;
    CHECK(phases.from == std::vector<std::int64_t>{10000, 20000, 40000});
    CHECK(phases.batch == std::vector<std::int64_t>{16, 0, 32});
    CHECK(phases.sequence_length == std::vector<std::int64_t>{0, 256, 0});
    CHECK(phases.micro_batch == std::vector<std::int64_t>{0, 0, 16});
    CHECK(phases.learning_rate == std::vector<double>{-1, 1e-3, 3e-4});
    const auto& at = loaded.provenance.positions.at("phases.batch[2]");
    CHECK(at.text == "    batch: 32");
    CHECK(Folder(to_recipe(loaded.job)).load().job == loaded.job);
    const Folder plain;
    CHECK(plain.load({"phases=[{from: 1k, batch: \"${train.batch * 2}\"}]"}).job.phases.batch ==
          std::vector<std::int64_t>{16});
  }

  TEST_CASE("one value of all phases, or of all sources, can be set on the command line") {
    const Folder folder(test::kGoodRecipe + kPhases);
    const auto changed = folder.load({"phases.batch=[32, 0, 64]"}).job.phases;
    CHECK(changed.batch == std::vector<std::int64_t>{32, 0, 64});
    CHECK(changed.from == std::vector<std::int64_t>{10000, 20000, 40000});
    CHECK(changed.learning_rate == std::vector<double>{-1, 1e-3, 3e-4});
    CHECK(folder.load({"phases.layout.dp=[2, 0, 1]"}).job.phases.layout.dp ==
          std::vector<std::int64_t>{2, 0, 1});
    CHECK(folder.codes({"phases.batch=[32]"}) == "E0281");
    CHECK(folder.codes({"phases.bacth=[32]"}) == "E0107");
    const auto mixed = Folder(test::kGoodRecipe + "phases: [{from: 1k, mix: [1], mix_over: 5}]\n")
                           .load({"data.files=[]", "data.sources=[{name: a, files: [/etc/passwd]}]",
                                  "data.sources.weight=[3]", "phases.mix=[[2]]"})
                           .job;
    CHECK(mixed.data.sources.weight == std::vector<double>{3});
    CHECK(mixed.phases.mix == std::vector<std::vector<double>>{{2}});
    CHECK(mixed.phases.mix_over == std::vector<std::int64_t>{5});
  }

  TEST_CASE("a step belongs to the last phase that begins before it or with it") {
    const auto job = Folder(test::kGoodRecipe + kPhases).load().job;
    CHECK(phase_at(job, 0) == 0);
    CHECK(phase_at(job, 9999) == 0);
    CHECK(phase_at(job, 10000) == 1);
    CHECK(phase_at(job, 39999) == 2);
    CHECK(phase_at(job, 1'000'000'000) == 3);
    CHECK(phase_at(Job{}, 5) == 0);
  }

  TEST_CASE("a phase keeps what it does not change") {
    const auto job = Folder(test::kGoodRecipe + kPhases).load().job;
    CHECK(train_of_phase(job, 0) == job.train);
    CHECK(train_of_phase(job, 1).batch == 16);
    CHECK(train_of_phase(job, 1).micro_batch == 8);
    CHECK(train_of_phase(job, 2).sequence_length == 256);
    CHECK(train_of_phase(job, 2).batch == 16);
    CHECK(train_of_phase(job, 3).sequence_length == 256);
    CHECK(train_of_phase(job, 3).micro_batch == 16);
  }

  TEST_CASE("a phase keeps the axes and the rotary base that it does not give") {
    const auto job = Folder(test::kGoodRecipe +
                            "phases:\n"
                            "  - {from: 10k, layout: {dp: 2, ep: 2}}\n"
                            "  - {from: 20k, rope_base: 5e6}\n"
                            "  - {from: 40k, layout: {cp: 4, dp: 1}}\n")
                         .load({"layout.tp=2"})
                         .job;
    CHECK(to_string(layout_of_phase(job, 0)) == to_string(job.layout));
    CHECK(layout_of_phase(job, 1).dp == 2);
    CHECK(layout_of_phase(job, 1).tp == 2);
    CHECK(layout_of_phase(job, 3).dp == 1);
    CHECK(layout_of_phase(job, 3).cp == 4);
    CHECK(layout_of_phase(job, 3).ep == 2);
    CHECK(rope_base_of_phase(job, 1) == job.model.rope_base);
    CHECK(rope_base_of_phase(job, 3) == 5e6);
    // A job whose layout is already that of a phase has the same ones from there on.
    auto later = job;
    later.layout = layout_of_phase(job, 1);
    CHECK(layout_of_phase(later, 1) == layout_of_phase(job, 1));
    CHECK(layout_of_phase(later, 3) == layout_of_phase(job, 3));
    CHECK(job_of_phase(job, 3).layout == layout_of_phase(job, 3));
    CHECK(job_of_phase(job, 3).model.rope_base == 5e6);
  }

  TEST_CASE("a step that ends a phase still belongs to it") {
    const auto job = Folder(test::kGoodRecipe + kPhases).load().job;
    CHECK(phase_of_step(job, 0) == 0);
    for (int step = 1; step < 60; ++step)
      CHECK(phase_of_step(job, step) == phase_at(job, tokens_of_steps(job, step - 1)));
  }

  TEST_CASE("tokens of steps are those that going step by step finds") {
    const auto job = Folder(test::kGoodRecipe + kPhases).load().job;
    std::int64_t tokens = 0;
    for (int steps = 0; steps < 60; ++steps) {
      CHECK(tokens_of_steps(job, steps) == tokens);
      const auto train = train_of_phase(job, phase_at(job, tokens));
      tokens += train.batch * train.sequence_length;
    }
    CHECK(tokens > 40000);
    CHECK(tokens_of_steps(Job{.train = {.sequence_length = 3, .batch = 5}}, 7) == 105);
  }

  TEST_CASE("warm-up is linear, then comes the peak, then a cosine to the final rate") {
    const auto job = job_with_rate({.peak = 2e-4,
                                    .final = 3e-5,
                                    .warmup_tokens = 1000,
                                    .decay_from = 5000,
                                    .decay_tokens = 2000});
    struct Row {
      std::int64_t tokens;
      double rate;
    };
    for (const Row& row :
         {Row{0, 0}, Row{1, 2e-7}, Row{500, 1e-4}, Row{1000, 2e-4}, Row{5000, 2e-4},
          Row{6000, 0.5 * (2e-4 + 3e-5)}, Row{7000, 3e-5}, Row{1000000, 3e-5}}) {
      CAPTURE(row.tokens);
      CHECK(learning_rate(job, row.tokens) == doctest::Approx(row.rate).epsilon(1e-12));
    }
  }

  TEST_CASE("no warm-up and no decay is the peak throughout") {
    const auto job = job_with_rate({.peak = 0.01});
    CHECK(learning_rate(job, 0) == 0.01);
    CHECK(learning_rate(job, 1'000'000'000'000) == 0.01);
  }

  TEST_CASE("the rates of phases are joined by straight lines, and the last one stays") {
    auto job = Folder(test::kGoodRecipe + kPhases).load({"optimizer.learning_rate.peak=2e-3"}).job;
    CHECK(learning_rate(job, 19999) == 2e-3);  // still the schedule's, though a phase has begun
    CHECK(learning_rate(job, 20000) == 1e-3);
    CHECK(learning_rate(job, 30000) == doctest::Approx(0.5 * (1e-3 + 3e-4)).epsilon(1e-12));
    CHECK(learning_rate(job, 40000) == 3e-4);
    CHECK(learning_rate(job, 90000) == 3e-4);
    CHECK(phase_rates_begin(job) == 20000);
    CHECK_FALSE(phase_rates_begin(Job{}).has_value());
  }

  TEST_CASE("every rule is kept in every phase, and cites the phase") {
    const Folder folder(test::kGoodRecipe + kPhases);
    CHECK(folder.codes().empty());
    const auto problems = folder.problems({"layout.dp=16"});
    REQUIRE(problems.size() == 1);  // of the first stretch; phase 2 has a micro_batch of 16
    const Folder odd(test::kGoodRecipe + "phases: [{from: 1k, batch: 12}]\n");
    const auto found = odd.problems();
    REQUIRE(found.size() == 1);
    CHECK(found[0].code == "E0211");
    CHECK(found[0].message.starts_with("in phase 0, from 1000 tokens on: micro_batch 8 does not"));
    CHECK(found[0].positions.size() >= 2);
    const Folder ranks(test::kGoodRecipe + "phases: [{from: 1k, micro_batch: 2, batch: 4}]\n");
    CHECK(ranks.codes({"layout.dp=4"}) == "E0212");
    const Folder chunks(test::kGoodRecipe + "phases: [{from: 1k, sequence_length: 4}]\n");
    CHECK(chunks.codes({"layout.cp=4"}) == "E0268");
    // A mistake of the first stretch is not told again for phases that leave it as it is.
    CHECK(Folder(test::kGoodRecipe + "phases: [{from: 1k, learning_rate: 1e-3}]\n")
              .codes({"layout.dp=3"}) == "E0212");
  }

  TEST_CASE("phases that make no sense are refused") {
    const auto codes = [](const std::string& phases) {
      return Folder(test::kGoodRecipe + "phases: " + phases + "\n").codes();
    };
    CHECK(codes("[{batch: 16}]") == "E0108");
    CHECK(codes("[{from: 1k, bacth: 16}]") == "E0107");
    CHECK(codes("[{from: 1k, rope_theta: 1e6}]") == "E0107");
    CHECK(codes("[16]") == "E0109");
    CHECK(codes("3") == "E0109");
    CHECK(codes("[{from: 0, batch: 16}]") == "E0111");
    CHECK(codes("[{from: 1k, batch: -16}]") == "E0111");
    CHECK(codes("[{from: 2s, batch: 16}]") == "E0110");
    CHECK(codes("{from: [1k], batch: [16]}") == "E0281");
    CHECK(codes("[{from: 2k, batch: 16}, {from: 1k, batch: 32}]") == "E0282");
    CHECK(codes("[{from: 2k}]") == "E0283");
    CHECK(codes("[{from: 2k, learning_rate: -0.5}]") == "E0284");
    CHECK(codes("[]").empty());
    const Folder cut(test::kGoodRecipe + "phases: [{from: 4k, learning_rate: 1e-3}]\n");
    CHECK(cut.codes({"optimizer.learning_rate.warmup_tokens=5k"}) == "E0285");
    CHECK(cut.codes({"optimizer.learning_rate.warmup_tokens=4k"}).empty());
    CHECK(cut.codes({"optimizer.learning_rate.decay_from=1k",
                     "optimizer.learning_rate.decay_tokens=4k"}) == "E0285");
  }
}

}  // namespace
}  // namespace fulgur
