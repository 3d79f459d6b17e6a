#include <doctest/doctest.h>

#include <cmath>
#include <tuple>
#include <utility>

#include "kernels/cross_entropy.hpp"
#include "kernels/embedding.hpp"
#include "kernels/rms_norm.hpp"
#include "kernels/rotary.hpp"
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

// Rows of T columns C, held in registers when 16-byte accesses fit and a block can hold them, or not.
constexpr std::pair<std::int64_t, std::int64_t> kRows[] = {
    {1, 1},       {3, 31},     {257, 33},   {5, 40},    {1000, 256},
    {2049, 1536}, {700, 2056}, {300, 6144}, {9, 16384}, {3, 80000}};

template <class Rows>
struct RmsNormCase {
  RmsNormCase(std::int64_t T, std::int64_t C)
      : x(both, random_floats({T, C}, 1)),
        y(both, Floats({T, C}, 9.0f)),
        dy(both, random_floats({T, C}, 3)),
        dx(both, Floats({T, C}, 9.0f)),
        weight(both, random_floats({C}, 2, 0.5f, 1.5f)),
        rstd(both, Floats({T}, 9.0f)),
        dweight(both, random_floats({C}, 4)) {}

  RmsNormForward forward(Device on) {
    return {.x = x.on(on), .weight = weight.on(on), .y = y.on(on), .rstd = rstd.on(on)};
  }
  RmsNormBackward backward(Device on) {
    return {.dy = dy.on(on),
            .x = x.on(on),
            .weight = weight.on(on),
            .rstd = rstd.on(on),
            .dx = dx.on(on),
            .dweight = dweight.on(on)};
  }
  void check(Rows& gradient) {
    const auto count = static_cast<std::int64_t>(y.on_cpu().size());
    const auto columns = static_cast<std::int64_t>(weight.on_cpu().size());
    CHECK(both.repeats());
    CHECK(y.error() < error_bound<Rows>(tolerance(DType::kFloat32, 4), count));
    CHECK(rstd.error() < tolerance(DType::kFloat32, 1));
    // The gradient of a single column that is the whole row is 0 but for eps.
    if (columns > 1)
      CHECK(gradient.error() < error_bound<Rows>(2 * tolerance(DType::kFloat32, 16), count));
    CHECK(dweight.error() < tolerance(DType::kFloat32, 4));
  }

  BothDevices both;
  Rows x, y, dy, dx;
  TwinFloats weight, rstd, dweight;
};

}  // namespace

TEST_SUITE("kernels/cuda/rows") {
  TEST_CASE_TEMPLATE("rms_norm forward and backward in place are those of the CPU" *
                         doctest::skip(!test::has_cuda()),
                     Rows, TwinFloats, TwinRounded) {
    for (const auto& [T, C] : kRows) {
      CAPTURE(T);
      CAPTURE(C);
      RmsNormCase<Rows> norm(T, C);
      norm.both.run([&](Device on, Stream& stream) {
        rms_norm_forward(norm.forward(on), stream);
        auto backward = norm.backward(on);
        backward.dx = backward.dy;
        rms_norm_backward(backward, stream);
      });
      norm.check(norm.dy);
    }
  }

  TEST_CASE_TEMPLATE("rms_norm with the sums of rows cut over two ranks is that of the CPU" *
                         doctest::skip(!test::has_cuda()),
                     Rows, TwinFloats, TwinRounded) {
    for (const auto& [T, C] : kRows) {
      CAPTURE(T);
      CAPTURE(C);
      RmsNormCase<Rows> norm(T, C);
      TwinDoubles squares(norm.both, Doubles({T}, 9.0)), dots(norm.both, Doubles({T}, 9.0));
      norm.both.run([&, C = C](Device on, Stream& stream) {  // as if the other half were zeros
        auto forward = norm.forward(on);
        auto backward = norm.backward(on);
        forward.parts = {.sums = squares.on(on), .width = 2 * C};
        backward.parts = {.sums = dots.on(on), .width = 2 * C};
        rms_norm_squares({.x = forward.x, .sums = squares.on(on)}, stream);
        rms_norm_forward(forward, stream);
        rms_norm_dots(
            {.dy = backward.dy, .x = backward.x, .weight = backward.weight, .sums = dots.on(on)},
            stream);
        rms_norm_backward(backward, stream);
      });
      norm.check(norm.dx);
      CHECK(squares.error() < tolerance(DType::kFloat64, C));
      CHECK(dots.error() < tolerance(DType::kFloat32, 1));
    }
  }

  TEST_CASE_TEMPLATE(
      "cross-entropy of a part of the vocabulary, with ignored labels, is that of the CPU" *
          doctest::skip(!test::has_cuda()),
      Rows, TwinFloats, TwinRounded) {
    for (const auto& [T, V] : {std::pair{1, 1}, {7, 31}, {65, 1003}, {31, 4104}, {129, 32768}}) {
      CAPTURE(T);
      CAPTURE(V);
      BothDevices both;
      const int first_id = V / 3;  // so some labels lie outside the part
      Rows logits(both, random_floats({T, V}, 1, -30.0f, 30.0f));
      TwinFloats lse(both, Floats({T}, 9.0f)), target(both, Floats({T}, 9.0f));
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
      // Logits near 30 lose 5 bits in exp. Few of the numbers are not close to 0.
      CHECK(logits.error() < error_bound<Rows>(16 * tolerance(DType::kFloat32, 1), T));
    }
  }

  TEST_CASE("minus infinities among the logits add nothing, and a NaN makes the log-sum-exp one" *
            doctest::skip(!test::has_cuda())) {
    constexpr std::int64_t T = 4, V = 5000;
    Floats rows({T, V}, -INFINITY);
    rows.values[V - 1] = 2.0f;  // row 0: one number
    for (std::size_t v = V + 600; v < 2 * V; ++v)
      rows.values[v] = 1.0f;  // row 1: none for the threads with the first columns
    for (std::size_t v = 2 * V; v < 3 * V; v += 2)
      rows.values[v] = -3.0f;  // row 2: every other
    rows.values[3 * V] = 1.0f;
    rows.values[3 * V + 700] = NAN;  // row 3: no number
    BothDevices both;
    TwinFloats logits(both, rows), lse(both, Floats({T}, 9.0f)), target(both, Floats({T}, 9.0f));
    TwinInts labels(both, Ints({T}, kIgnoredLabel));
    both.run([&](Device on, Stream& stream) {
      cross_entropy_forward({.logits = logits.on(on),
                             .labels = labels.on(on),
                             .lse = lse.on(on),
                             .target = target.on(on)},
                            stream);
    });
    auto gpu = lse.on_gpu(), cpu = lse.on_cpu();
    CHECK(std::isnan(gpu.back()));
    gpu.pop_back();
    cpu.pop_back();
    CHECK(test::relative_error(gpu, cpu) < tolerance(DType::kFloat32, 1));
  }

  TEST_CASE_TEMPLATE("the embedding and its gradient are those of the CPU to the last bit" *
                         doctest::skip(!test::has_cuda()),
                     Rows, TwinFloats, TwinRounded) {
    for (const auto& [T, V, C] :
         {std::tuple{1, 1, 1}, {300, 3, 33}, {777, 50, 257}, {2000, 1000, 64}, {5000, 9, 520}}) {
      CAPTURE(T);
      CAPTURE(V);
      BothDevices both;
      const int first_id = 2;
      TwinInts ids(both, random_ints({T}, 1, 0, V + 3));
      Rows weight(both, random_floats({V, C}, 2)), dy(both, random_floats({T, C}, 3)),
          y(both, Floats({T, C}, 9.0f));
      TwinFloats dweight(both, random_floats({V, C}, 4));
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

  TEST_CASE_TEMPLATE(
      "rotary turns strided heads as the CPU does, and back" * doctest::skip(!test::has_cuda()),
      Heads, TwinFloats, TwinRounded) {
    for (const auto& [T, H, d, rotary_dim] : {std::tuple{1, 1, 2, 2},
                                              {17, 3, 10, 6},
                                              {33, 5, 24, 24},
                                              {501, 4, 128, 64},
                                              {1000, 2, 64, 64}}) {
      CAPTURE(T);
      CAPTURE(d);
      BothDevices both;
      Heads qkv(both, random_floats({T, 3 * H, d}, 1)), turned(both, random_floats({T, H, d}, 2));
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
      CHECK(qkv.error() < error_bound<Heads>(tolerance(DType::kFloat32, 2), T * H * d));
      CHECK(turned.error() < error_bound<Heads>(tolerance(DType::kFloat32, 2), T * H * d));
    }
  }
}

}  // namespace fulgur
