#include "kernels/auxiliary_loss.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace fulgur {
namespace {

// Counts and sums of L layers with E experts, k = 2, over some tokens.
struct Case {
  std::int64_t L = 3, E = 4, tokens = 10;
  std::vector<std::int32_t> counts{7, 5, 3, 5, 2, 9, 9, 0, 5, 5, 5, 5};
  std::vector<double> sums{3.5, 2.5, 1.5, 2.5, 1, 4, 4.5, 0.5, 2.5, 2.5, 2.5, 2.5};
  double loss = 0;
  std::vector<float> gradient = std::vector<float>(12, -1.0f);

  void run(AuxiliaryLossForm form, double coef) {
    Stream stream(Device::kCpu);
    auxiliary_loss({.counts = Tensor::contiguous(counts.data(), DType::kInt32, {L, E}),
                    .probability_sums = Tensor::contiguous(sums.data(), DType::kFloat64, {L, E}),
                    .loss = Tensor::contiguous(&loss, DType::kFloat64, {1}),
                    .dprobability = Tensor::contiguous(gradient.data(), DType::kFloat32, {L, E}),
                    .form = form,
                    .coef = coef,
                    .tokens = tokens,
                    .experts_per_token = 2},
                   stream);
    stream.synchronize();
  }
};

}  // namespace

TEST_SUITE("kernels/auxiliary_loss") {
  TEST_CASE("the gshard form is coef at perfect balance and the mean over the layers else") {
    Case balanced;
    balanced.counts.assign(12, 5);
    balanced.sums.assign(12, 2.5);
    balanced.run(AuxiliaryLossForm::kGshard, 0.01);
    CHECK(balanced.loss == doctest::Approx(0.01));

    Case c;
    c.run(AuxiliaryLossForm::kGshard, 0.01);
    double expected = 0;
    for (std::size_t i = 0; i < 12; ++i)
      expected += 0.01 * (4.0 / 2.0) * (c.counts[i] / 10.0) * (c.sums[i] / 10.0) / 3.0;
    CHECK(c.loss == doctest::Approx(expected).epsilon(1e-12));
  }

  TEST_CASE("the mixtral form puts the tokens of all layers together") {
    Case c;
    c.run(AuxiliaryLossForm::kMixtral, 0.02);
    double expected = 0;
    for (std::size_t e = 0; e < 4; ++e) {
      const double f = (c.counts[e] + c.counts[4 + e] + c.counts[8 + e]) / 30.0;
      const double m = (c.sums[e] + c.sums[4 + e] + c.sums[8 + e]) / 30.0;
      expected += 0.02 * 4.0 * f * m;
    }
    CHECK(c.loss == doctest::Approx(expected).epsilon(1e-12));
  }

  TEST_CASE("the gradient is the loss's slope in a token's probability, in both forms") {
    for (const auto form : {AuxiliaryLossForm::kGshard, AuxiliaryLossForm::kMixtral}) {
      Case c;
      c.run(form, 0.5);
      for (std::size_t i = 0; i < 12; ++i) {
        Case moved;
        moved.sums[i] += 1e-3;
        moved.run(form, 0.5);
        CHECK((moved.loss - c.loss) / 1e-3 == doctest::Approx(c.gradient[i]).epsilon(1e-5));
      }
    }
  }

  TEST_CASE("the loss is added to what is there") {
    Case c, again;
    c.run(AuxiliaryLossForm::kGshard, 0.01);
    again.run(AuxiliaryLossForm::kGshard, 0.01);
    again.run(AuxiliaryLossForm::kGshard, 0.01);
    CHECK(again.loss == doctest::Approx(2 * c.loss));
  }

  TEST_CASE("wrong dims and no tokens are refused by name") {
    Case c;
    c.tokens = 0;
    CHECK_THROWS_WITH_AS(c.run(AuxiliaryLossForm::kGshard, 1),
                         "auxiliary_loss: tokens and experts_per_token must be positive",
                         std::invalid_argument);
    Stream stream(Device::kCpu);
    const auto counts = Tensor::contiguous(c.counts.data(), DType::kInt32, {3, 4});
    const auto sums = Tensor::contiguous(c.sums.data(), DType::kFloat64, {3, 3});
    try {
      auxiliary_loss({.counts = counts, .probability_sums = sums}, stream);
      FAIL("not refused");
    } catch (const std::invalid_argument& error) {
      CHECK(std::string(error.what()).starts_with("auxiliary_loss: probability_sums"));
    }
  }
}

}  // namespace fulgur
