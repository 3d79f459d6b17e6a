#include <doctest/doctest.h>

#include <tuple>

#include "kernels/cross_entropy.hpp"
#include "kernels/embedding.hpp"
#include "kernels/rms_norm.hpp"
#include "kernels/rotary.hpp"
#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Doubles;
using test::Floats;
using test::random_floats;
using test::random_ints;
using test::tolerance;
using test::TwinDoubles;
using test::TwinFloats;
using test::TwinInts;

}  // namespace

TEST_SUITE("kernels/cuda/rows") {
  TEST_CASE("rms_norm forward and backward in place are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& [T, C] : {std::pair{1, 1}, {3, 31}, {257, 33}, {1000, 256}, {2049, 1536}}) {
      CAPTURE(T);
      CAPTURE(C);
      BothDevices both;
      TwinFloats x(both, random_floats({T, C}, 1)), weight(both, random_floats({C}, 2, 0.5f, 1.5f)),
          y(both, Floats({T, C}, 9.0f)), rstd(both, Floats({T}, 9.0f)),
          dy(both, random_floats({T, C}, 3)), dweight(both, random_floats({C}, 4));
      both.run([&](Device on, Stream& stream) {
        rms_norm_forward(
            {.x = x.on(on), .weight = weight.on(on), .y = y.on(on), .rstd = rstd.on(on)}, stream);
        rms_norm_backward({.dy = dy.on(on),
                           .x = x.on(on),
                           .weight = weight.on(on),
                           .rstd = rstd.on(on),
                           .dx = dy.on(on),
                           .dweight = dweight.on(on)},
                          stream);
      });
      CHECK(both.repeats());
      CHECK(y.error() < tolerance(DType::kFloat32, 4));
      CHECK(rstd.error() < tolerance(DType::kFloat32, 1));
      // The gradient of a single column is 0 but for eps.
      if (C > 1) CHECK(dy.error() < 2 * tolerance(DType::kFloat32, 16));
      CHECK(dweight.error() < tolerance(DType::kFloat32, 4));
    }
  }

  TEST_CASE("cross-entropy of a part of the vocabulary, with ignored labels, is that of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& [T, V] : {std::pair{1, 1}, {7, 31}, {65, 1003}, {129, 32768}}) {
      CAPTURE(T);
      CAPTURE(V);
      BothDevices both;
      const int first_id = V / 3;  // so some labels lie outside the part
      TwinFloats logits(both, random_floats({T, V}, 1, -30.0f, 30.0f)),
          lse(both, Floats({T}, 9.0f)), target(both, Floats({T}, 9.0f));
      TwinInts labels(both, random_ints({T}, 2, -1, V + first_id));
      TwinDoubles loss(both, Doubles({1}, 1.0));
      both.run([&](Device on, Stream& stream) {
        cross_entropy_forward({.logits = logits.on(on),
                               .labels = labels.on(on),
                               .lse = lse.on(on),
                               .target = target.on(on),
                               .first_id = first_id},
                              stream);
        cross_entropy_loss({.lse = lse.on(on),
                            .target = target.on(on),
                            .labels = labels.on(on),
                            .loss = loss.on(on)},
                           stream);
        cross_entropy_backward({.logits = logits.on(on),
                                .labels = labels.on(on),
                                .lse = lse.on(on),
                                .scale = 0.25f,
                                .first_id = first_id},
                               stream);
      });
      CHECK(both.repeats());
      CHECK(lse.error() < tolerance(DType::kFloat32, 1));
      CHECK(target.is_equal());
      CHECK(loss.error() < tolerance(DType::kFloat32, 1));
      CHECK(logits.error() <
            16 * tolerance(DType::kFloat32, 1));  // logits near 30 lose 5 bits in exp
    }
  }

  TEST_CASE("the embedding and its gradient are those of the CPU to the last bit" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& [T, V, C] :
         {std::tuple{1, 1, 1}, {300, 3, 33}, {777, 50, 257}, {2000, 1000, 64}}) {
      CAPTURE(T);
      CAPTURE(V);
      BothDevices both;
      const int first_id = 2;
      TwinInts ids(both, random_ints({T}, 1, 0, V + 3));
      TwinFloats weight(both, random_floats({V, C}, 2)), dy(both, random_floats({T, C}, 3)),
          y(both, Floats({T, C}, 9.0f)), dweight(both, random_floats({V, C}, 4));
      both.run([&](Device on, Stream& stream) {
        embedding_forward(
            {.ids = ids.on(on), .weight = weight.on(on), .y = y.on(on), .first_id = first_id},
            stream);
        embedding_backward(
            {.ids = ids.on(on), .dy = dy.on(on), .dweight = dweight.on(on), .first_id = first_id},
            stream);
      });
      CHECK(y.is_equal());
      CHECK(dweight.is_equal());
    }
  }

  TEST_CASE("rotary turns strided heads as the CPU does, and back" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& [T, H, d, rotary_dim] :
         {std::tuple{1, 1, 2, 2}, {17, 3, 10, 6}, {501, 4, 128, 64}, {1000, 2, 64, 64}}) {
      CAPTURE(T);
      CAPTURE(d);
      BothDevices both;
      TwinFloats qkv(both, random_floats({T, 3 * H, d}, 1)),
          turned(both, random_floats({T, H, d}, 2));
      TwinInts positions(both, random_ints({T}, 3, 0, 200'000));
      const auto turn = [&](const Tensor& x, RotaryDirection direction, Device on, Stream& stream) {
        rotary({.x = x,
                .positions = positions.on(on),
                .rotary_dim = rotary_dim,
                .direction = direction},
               stream);
      };
      both.run([&](Device on, Stream& stream) {
        turn(qkv.on(on).slice(1, H, H), RotaryDirection::kForward, on, stream);
        turn(turned.on(on), RotaryDirection::kInverse, on, stream);
      });
      CHECK(both.repeats());
      CHECK(qkv.error() < tolerance(DType::kFloat32, 2));
      CHECK(turned.error() < tolerance(DType::kFloat32, 2));
    }
  }
}

}  // namespace fulgur
