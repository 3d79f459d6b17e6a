#include <doctest/doctest.h>

#include <cmath>

#include "kernels/activation.hpp"
#include "kernels/adamw.hpp"
#include "kernels/convert.hpp"
#include "kernels/random.hpp"
#include "kernels/reduce.hpp"
#include "tests/support/twin_rounded.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Doubles;
using test::error_bound;
using test::Floats;
using test::HostTensor;
using test::random_floats;
using test::Twin;
using test::TwinDoubles;
using test::TwinFloats;
using test::TwinRounded;

const double kCalculated = 2 * test::tolerance(DType::kFloat32, 4);

// Behind a gap of one element, accesses of 16 bytes do not fit.
struct Size {
  std::int64_t n, gap;
};
constexpr Size kSizes[] = {{1, 0}, {31, 0}, {257, 1}, {4096, 0}, {4096, 1}, {1'000'003, 0}};

Tensor last(std::int64_t n, const Tensor& of) {
  return of.slice(0, of.dims[0] - n, n);
}

}  // namespace

TEST_SUITE("kernels/cuda/elements") {
  TEST_CASE_TEMPLATE(
      "silu and its gradient are those of the CPU" * doctest::skip(!test::has_cuda()), T,
      TwinFloats, TwinRounded) {
    for (const auto& [n, gap] : kSizes) {
      CAPTURE(n);
      CAPTURE(gap);
      BothDevices both;
      const Shape dims{n + gap};
      T x(both, random_floats(dims, 1, -20.0f, 20.0f)), dy(both, random_floats(dims, 2)),
          y(both, Floats(dims, 9.0f)), dx(both, Floats(dims, 9.0f));
      both.run([&, n = n](Device on, Stream& stream) {
        silu_forward({.x = last(n, x.on(on)), .y = last(n, y.on(on))}, stream);
        silu_backward({.dy = last(n, dy.on(on)), .x = last(n, x.on(on)), .dx = last(n, dx.on(on))},
                      stream);
      });
      CHECK(both.repeats());
      CHECK(y.error() < error_bound<T>(kCalculated, n));
      CHECK(dx.error() < error_bound<T>(kCalculated, n));
    }
  }

  TEST_CASE_TEMPLATE(
      "swiglu and its gradient in place are those of the CPU" * doctest::skip(!test::has_cuda()), T,
      TwinFloats, TwinRounded) {
    for (const auto& [M, F] : {std::pair{1, 1}, {3, 5}, {129, 67}, {33, 132}, {1001, 384}}) {
      CAPTURE(M);
      CAPTURE(F);
      BothDevices both;
      T x(both, random_floats({M, 2, F}, 1, -9.0f, 9.0f)), dy(both, random_floats({M, F}, 2)),
          y(both, Floats({M, F}, 9.0f));
      both.run([&](Device on, Stream& stream) {
        swiglu_forward({.x = x.on(on), .y = y.on(on)}, stream);
        swiglu_backward({.dy = dy.on(on), .x = x.on(on), .dx = x.on(on)}, stream);
      });
      CHECK(both.repeats());
      CHECK(y.error() < error_bound<T>(kCalculated, M * F));
      CHECK(x.error() < error_bound<T>(kCalculated, M * F));
    }
  }

  TEST_CASE_TEMPLATE(
      "the sigmoid gate and its gradient are those of the CPU" * doctest::skip(!test::has_cuda()),
      T, TwinFloats, TwinRounded) {
    for (const auto& [n, gap] : kSizes) {
      CAPTURE(n);
      CAPTURE(gap);
      BothDevices both;
      const Shape dims{n + gap};
      T gate(both, random_floats(dims, 1, -30.0f, 30.0f)), x(both, random_floats(dims, 2)),
          dy(both, random_floats(dims, 3)), y(both, Floats(dims, 9.0f)),
          dx(both, Floats(dims, 9.0f));
      both.run([&, n = n](Device on, Stream& stream) {
        sigmoid_gate_forward(
            {.gate = last(n, gate.on(on)), .x = last(n, x.on(on)), .y = last(n, y.on(on))}, stream);
        sigmoid_gate_backward({.dy = last(n, dy.on(on)),
                               .gate = last(n, gate.on(on)),
                               .x = last(n, x.on(on)),
                               .dgate = last(n, gate.on(on)),
                               .dx = last(n, dx.on(on))},
                              stream);
      });
      CHECK(both.repeats());
      CHECK(y.error() < error_bound<T>(kCalculated, n));
      CHECK(dx.error() < error_bound<T>(kCalculated, n));
      CHECK(gate.error() < error_bound<T>(kCalculated, n));
    }
  }

  TEST_CASE_TEMPLATE("scaled_add is that of the CPU and does not read b when beta is 0" *
                         doctest::skip(!test::has_cuda()),
                     T, TwinFloats, TwinRounded) {
    for (const auto& [n, gap] : kSizes) {
      CAPTURE(n);
      CAPTURE(gap);
      BothDevices both;
      const Shape dims{n + gap};
      T a(both, random_floats(dims, 1)), b(both, random_floats(dims, 2)),
          nan(both, Floats(dims, NAN)), y(both, Floats(dims, 9.0f)), z(both, Floats(dims, 9.0f));
      both.run([&, n = n](Device on, Stream& stream) {
        ScaledAdd args{.a = last(n, a.on(on)),
                       .b = last(n, b.on(on)),
                       .y = last(n, y.on(on)),
                       .alpha = 0.3f,
                       .beta = -2.0f};
        scaled_add(args, stream);
        args.b = last(n, nan.on(on));
        args.y = last(n, z.on(on));
        args.beta = 0.0f;
        scaled_add(args, stream);
      });
      CHECK(y.error() < error_bound<T>(kCalculated, n));
      CHECK(z.error() < error_bound<T>(kCalculated, n));
    }
  }

  TEST_CASE_TEMPLATE("numbers are rounded and added up as on the CPU, to the last bit" *
                         doctest::skip(!test::has_cuda()),
                     To, float, std::uint16_t) {
    for (const auto& [n, gap] : kSizes) {
      CAPTURE(n);
      CAPTURE(gap);
      BothDevices both;
      const Shape dims{n + gap};
      TwinFloats x(both, random_floats(dims, 1, -3.0f, 3.0f));
      Twin<std::uint16_t> rounded(both, HostTensor<std::uint16_t>(dims, 0x3f80));
      Twin<To> y(both, HostTensor<To>(dims, To{1})), sum(both, HostTensor<To>(dims, To{1}));
      both.run([&, n = n](Device on, Stream& stream) {
        convert({.x = last(n, x.on(on)), .y = last(n, rounded.on(on))}, stream);
        convert({.x = last(n, rounded.on(on)), .y = last(n, y.on(on))}, stream);
        convert({.x = last(n, x.on(on)), .y = last(n, sum.on(on))}, stream);
        convert({.x = last(n, rounded.on(on)), .y = last(n, sum.on(on)), .add = true}, stream);
      });
      CHECK(rounded.is_equal());
      CHECK(y.is_equal());
      CHECK(sum.is_equal());
    }
  }

  TEST_CASE("three steps of adamw are those of the CPU, and the copy is the rounded weight" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& [n, gap] : kSizes) {
      CAPTURE(n);
      CAPTURE(gap);
      BothDevices both;
      const Shape dims{n + gap};
      TwinFloats w(both, random_floats(dims, 1)), g(both, random_floats(dims, 2)),
          m(both, Floats(dims)), v(both, Floats(dims)), scale(both, Floats({1}, 0.5f));
      Twin<std::uint16_t> copy(both, HostTensor<std::uint16_t>(dims)),
          rounded(both, HostTensor<std::uint16_t>(dims));
      both.run([&, n = n](Device on, Stream& stream) {
        for (std::int64_t step = 1; step <= 3; ++step) {
          adamw({.weight = last(n, w.on(on)),
                 .gradient = last(n, g.on(on)),
                 .exp_avg = last(n, m.on(on)),
                 .exp_avg_sq = last(n, v.on(on)),
                 .copy = step == 2 ? Tensor{} : last(n, copy.on(on)),
                 .gradient_scale = step == 3 ? Tensor{} : scale.on(on),
                 .learning_rate = 0.01,
                 .weight_decay = 0.1,
                 .step = step},
                stream);
        }
        convert({.x = last(n, w.on(on)), .y = last(n, rounded.on(on))}, stream);
      });
      CHECK(both.repeats());
      CHECK(w.error() < kCalculated);
      CHECK(m.error() < kCalculated);
      CHECK(v.error() < kCalculated);
      CHECK(copy.on_gpu() == rounded.on_gpu());
    }
  }

  TEST_CASE("normal numbers are those of the CPU, next to all to the last bit" *
            doctest::skip(!test::has_cuda())) {
    for (const auto first : {0, 1, 2, 3, 12345}) {
      for (const auto& [n, gap] : kSizes) {
        CAPTURE(first);
        CAPTURE(n);
        CAPTURE(gap);
        BothDevices both;
        TwinFloats out(both, Floats({n + gap}, 9.0f));
        both.run([&, n = n](Device on, Stream& stream) {
          fill_normal({.out = last(n, out.on(on)),
                       .seed = 7,
                       .name = "weight",
                       .first = first,
                       .std = 0.02},
                      stream);
        });
        const auto gpu = out.on_gpu();
        std::int64_t different = 0;
        for (std::size_t i = 0; i < gpu.size(); ++i)
          different += gpu[i] != out.on_cpu()[i];
        CHECK(different <= n / 10'000);
        CHECK(out.error() < 1e-9);
      }
    }
  }

  TEST_CASE("the sum of squares is that of the CPU and always has the same bits" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& [n, gap] : kSizes) {
      CAPTURE(n);
      CAPTURE(gap);
      BothDevices both;
      TwinFloats x(both, random_floats({n + gap}, 1));
      TwinDoubles out(both, Doubles({1}, 3.0));
      both.run([&, n = n](Device on, Stream& stream) {
        sum_of_squares({.x = last(n, x.on(on)), .out = out.on(on)}, stream);
      });
      CHECK(both.repeats());
      CHECK(out.error() < test::tolerance(DType::kFloat64, n));
    }
  }

  TEST_CASE("the scale that clips a norm is that of the CPU to the last bit" *
            doctest::skip(!test::has_cuda())) {
    for (const double squares :
         {0.0, 1e-30, 0.25, 1.0, 4.0, 12345.678, 1e300, double{INFINITY}, std::nan("")}) {
      CAPTURE(squares);
      BothDevices both;
      TwinDoubles of(both, Doubles({1}, squares));
      TwinFloats scale(both, Floats({1}, -1.0f));
      both.run([&](Device on, Stream& stream) {
        clip_scale({.squares = of.on(on), .scale = scale.on(on), .most = 0.5}, stream);
      });
      CHECK(scale.is_equal());
    }
  }
}

}  // namespace fulgur
