#include "orchestrator/run/utilisation.hpp"

#include <doctest/doctest.h>

#include "recipes/cost/flops.hpp"
#include "tests/recipes/dsl/recipe_folder.hpp"

using namespace fulgur;

TEST_SUITE("orchestrator/run/utilisation") {
  TEST_CASE("a GPU of the catalogue is known by the name that its driver gives it") {
    CHECK(peak_of_gpu("NVIDIA H200", Precision::kBFloat16) == 989e12);
    CHECK(peak_of_gpu("NVIDIA H800 PCIe", Precision::kBFloat16).has_value());
    CHECK_FALSE(peak_of_gpu("NVIDIA H2000", Precision::kBFloat16));
    CHECK_FALSE(peak_of_gpu("", Precision::kBFloat16));
  }

  TEST_CASE("the ranks share a step's FLOPs, and the fullest of them counts") {
    const test::RecipeFolder folder(test::kGoodRecipe +
                                    "phases: [{from: 10k, sequence_length: 256}]\n");
    const auto job = folder.load({"train.sequence_length=128"}).job;
    StepDone step;
    step.tokens = 10'000;
    step.tokens_per_second = 1e6;
    RunState state;
    state.workers.resize(4);
    state.workers[2].memory = 700;
    state.workers[3].memory = 500;

    const auto before = utilisation(job, step, state, std::nullopt);
    CHECK(before.memory == 700);
    CHECK(before.tflops ==
          doctest::Approx(training_flops(job.model, 128).total() * 1e6 / 4 / 1e12));
    CHECK_FALSE(before.mfu);

    step.tokens = 12'000;
    const auto behind = utilisation(job, step, state, 2e12);
    CHECK(behind.tflops ==
          doctest::Approx(training_flops(job.model, 256).total() * 1e6 / 4 / 1e12));
    CHECK(behind.mfu == doctest::Approx(behind.tflops / 2));
  }
}
