#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "kernels/auxiliary_loss.hpp"
#include "kernels/router.hpp"
#include "kernels/token_permutation.hpp"
#include "tests/support/twin_rounded.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Doubles;
using test::error_bound;
using test::Floats;
using test::Ints;
using test::random_floats;
using test::random_ints;
using test::tolerance;
using test::TwinDoubles;
using test::TwinFloats;
using test::TwinInts;
using test::TwinRounded;

}  // namespace

TEST_SUITE("kernels/cuda/experts") {
  TEST_CASE("the router chooses, weighs and counts as on the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& [T, E, k] :
         {std::tuple{1, 1, 1}, {5, 3, 3}, {129, 33, 2}, {1000, 256, 8}, {4097, 16, 2}}) {
      CAPTURE(T);
      CAPTURE(E);
      BothDevices both;
      TwinFloats logits(both, random_floats({T, E}, 1, -4.0f, 4.0f)),
          weights(both, Floats({T, k}, 9.0f)), dweights(both, random_floats({T, k}, 2)),
          dprobability(both, random_floats({E}, 3)), dlogits(both, Floats({T, E}, 9.0f));
      TwinInts experts(both, Ints({T, k}, -9)), counts(both, random_ints({E}, 4, 0, 9));
      TwinDoubles sums(both, Doubles({E}, 2.0));
      both.run([&](Device on, Stream& stream) {
        router_forward({.logits = logits.on(on),
                        .probabilities = logits.on(on),
                        .weights = weights.on(on),
                        .experts = experts.on(on),
                        .counts = counts.on(on),
                        .probability_sums = sums.on(on)},
                       stream);
        router_backward({.dweights = dweights.on(on),
                         .dprobability = dprobability.on(on),
                         .probabilities = logits.on(on),
                         .weights = weights.on(on),
                         .experts = experts.on(on),
                         .dlogits = dlogits.on(on)},
                        stream);
      });
      CHECK(both.repeats());
      CHECK(logits.error() < tolerance(DType::kFloat32, 4));
      CHECK(experts.is_equal());
      CHECK(counts.is_equal());
      CHECK(weights.error() < tolerance(DType::kFloat32, 4));
      CHECK(sums.error() < 1e-6);
      // With one expert the gradient is 0 up to rounding.
      if (E > 1) CHECK(dlogits.error() < 4 * tolerance(DType::kFloat32, 16));
    }
  }

  TEST_CASE("near ties take the reference's choice as on the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& [T, E, k] :
         {std::tuple{1, 2, 1}, {131, 33, 2}, {1000, 256, 40}, {4097, 16, 2}}) {
      CAPTURE(T);
      CAPTURE(E);
      BothDevices both;
      // Few values, so that there are ties of all kinds; the gap takes in one in some.
      auto rows = random_ints({T, E}, 5, 1, 200);
      Floats reference({T, E});
      std::transform(rows.values.begin(), rows.values.end(), reference.values.begin(),
                     [](std::int32_t n) { return static_cast<float>(n) / 256; });
      TwinFloats theirs(both, reference), p(both, random_floats({T, E}, 1, 0.1f, 0.9f)),
          weights(both, Floats({T, k}, 9.0f));
      Ints chosen({T, k});
      for (std::size_t i = 0; i < chosen.values.size(); ++i)
        chosen.values[i] = static_cast<std::int32_t>(i % static_cast<std::size_t>(k));
      TwinInts experts(both, chosen), counts(both, Ints(Shape{E}, T)),
          replayed(both, Ints(Shape{1}));
      both.run([&](Device on, Stream& stream) {
        router_replay({.reference = theirs.on(on),
                       .probabilities = p.on(on),
                       .weights = weights.on(on),
                       .experts = experts.on(on),
                       .counts = counts.on(on),
                       .replayed = replayed.on(on),
                       .gap = 0.02},
                      stream);
      });
      CHECK(both.repeats());
      CHECK(experts.is_equal());
      CHECK(counts.is_equal());
      CHECK(replayed.is_equal());
      CHECK(weights.error() < tolerance(DType::kFloat32, 4));
    }
  }

  TEST_CASE("on a tie and without numbers the router takes the lower expert, as on the CPU" *
            doctest::skip(!test::has_cuda())) {
    constexpr std::int64_t T = 3, E = 40, k = 5;
    BothDevices both;
    Floats rows({T, E}, 0.5f);  // row 0: all tied
    for (std::size_t e = 0; e < E; ++e) {
      rows.values[E + e] = e % 7 == 0 ? 1.0f : 0.0f;
      rows.values[2 * E + e] = NAN;
    }
    TwinFloats logits(both, rows), weights(both, Floats({T, k})), p(both, Floats({T, E}));
    TwinInts experts(both, Ints({T, k}, -9)), counts(both, Ints(Shape{E}));
    TwinDoubles sums(both, Doubles(Shape{E}));
    both.run([&](Device on, Stream& stream) {
      router_forward({.logits = logits.on(on),
                      .probabilities = p.on(on),
                      .weights = weights.on(on),
                      .experts = experts.on(on),
                      .counts = counts.on(on),
                      .probability_sums = sums.on(on)},
                     stream);
    });
    CHECK(experts.is_equal());
    CHECK(counts.is_equal());
  }

  TEST_CASE_TEMPLATE("sorting, permuting and combining tokens are those of the CPU" *
                         doctest::skip(!test::has_cuda()),
                     Rows, TwinFloats, TwinRounded) {
    for (const auto& [T, k, E, C] : {std::tuple{0, 2, 4, 3},
                                     {1, 1, 1, 1},
                                     {131, 3, 11, 37},
                                     {1009, 2, 300, 64},
                                     {517, 8, 32, 136},
                                     {8192, 2, 16, 33}}) {
      for (const int lowest : {-1, 0}) {
        CAPTURE(T);
        CAPTURE(E);
        CAPTURE(lowest);
        BothDevices both;
        const std::int64_t M = T * k;
        TwinInts experts(both, random_ints({T, k}, 1, lowest, E - 1)), rows(both, Ints({T, k}, -9)),
            slots(both, Ints({M}, -9)), offsets(both, Ints({E + 1}, -9));
        Rows x(both, random_floats({T, C}, 2)), y(both, Floats({M, C}, 9.0f)),
            out(both, Floats({T, C}, 9.0f)), dout(both, random_floats({T, C}, 4)),
            dy(both, Floats({M, C}, 9.0f)), dx(both, Floats({T, C}, 9.0f));
        TwinFloats weights(both, random_floats({T, k}, 3)), dweights(both, Floats({T, k}, 9.0f));
        both.run([&](Device on, Stream& stream) {
          sort_by_expert({.experts = experts.on(on),
                          .rows = rows.on(on),
                          .slots = slots.on(on),
                          .offsets = offsets.on(on)},
                         stream);
          permute_forward({.x = x.on(on), .slots = slots.on(on), .y = y.on(on), .k = k}, stream);
          combine_forward(
              {.y = y.on(on), .rows = rows.on(on), .weights = weights.on(on), .out = out.on(on)},
              stream);
          combine_backward({.dout = dout.on(on),
                            .y = y.on(on),
                            .rows = rows.on(on),
                            .slots = slots.on(on),
                            .weights = weights.on(on),
                            .dy = dy.on(on),
                            .dweights = dweights.on(on)},
                           stream);
          permute_backward({.dy = y.on(on), .rows = rows.on(on), .dx = dx.on(on)}, stream);
        });
        CHECK(both.repeats());
        CHECK(rows.is_equal());
        CHECK(slots.is_equal());
        CHECK(offsets.is_equal());
        CHECK(y.is_equal());
        CHECK(dy.error() < error_bound<Rows>(tolerance(DType::kFloat32, 1), M * C));
        CHECK(out.error() < error_bound<Rows>(tolerance(DType::kFloat32, k), T * C));
        CHECK(dx.error() < error_bound<Rows>(tolerance(DType::kFloat32, k), T * C));
        CHECK(dweights.error() < tolerance(DType::kFloat32, 1));
      }
    }
  }

  TEST_CASE("both forms of the auxiliary loss are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto form : {AuxiliaryLossForm::kGshard, AuxiliaryLossForm::kMixtral}) {
      for (const auto& [L, E] : {std::pair{1, 1}, {3, 5}, {16, 300}}) {
        CAPTURE(L);
        CAPTURE(E);
        BothDevices both;
        TwinInts counts(both, random_ints({L, E}, 1, 0, 1000));
        Doubles probability_sums({L, E});
        const auto some = random_floats({L, E}, 2, 0.0f, 500.0f);
        probability_sums.values = some.doubles();
        TwinDoubles sums(both, probability_sums), loss(both, Doubles({1}, 0.5));
        TwinFloats dprobability(both, Floats({L, E}, 9.0f));
        both.run([&](Device on, Stream& stream) {
          auxiliary_loss({.counts = counts.on(on),
                          .probability_sums = sums.on(on),
                          .loss = loss.on(on),
                          .dprobability = dprobability.on(on),
                          .form = form,
                          .coef = 0.01,
                          .tokens = 1000,
                          .experts_per_token = 2},
                         stream);
        });
        CHECK(both.repeats());
        CHECK(loss.error() < 1e-13);
        CHECK(dprobability.error() < tolerance(DType::kFloat32, 1));
      }
    }
  }
}

}  // namespace fulgur
