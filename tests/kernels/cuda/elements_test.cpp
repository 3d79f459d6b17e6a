#include <doctest/doctest.h>

#include <cmath>

#include "kernels/activation.hpp"
#include "kernels/adamw.hpp"
#include "kernels/random.hpp"
#include "kernels/reduce.hpp"
#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Doubles;
using test::Floats;
using test::random_floats;
using test::TwinDoubles;
using test::TwinFloats;

const double kBound = 2 * test::tolerance(DType::kFloat32, 4);
constexpr std::int64_t kSizes[] = {1, 31, 257, 4099, 1'000'003};

}  // namespace

TEST_SUITE("kernels/cuda/elements") {
  TEST_CASE("silu and its gradient are those of the CPU" * doctest::skip(!test::has_cuda())) {
    for (const auto n : kSizes) {
      CAPTURE(n);
      BothDevices both;
      TwinFloats x(both, random_floats({n}, 1, -20.0f, 20.0f)), dy(both, random_floats({n}, 2)),
          y(both, Floats({n}, 9.0f)), dx(both, Floats({n}, 9.0f));
      both.run([&](Device on, Stream& stream) {
        silu_forward({.x = x.on(on), .y = y.on(on)}, stream);
        silu_backward({.dy = dy.on(on), .x = x.on(on), .dx = dx.on(on)}, stream);
      });
      CHECK(both.repeats());
      CHECK(y.error() < kBound);
      CHECK(dx.error() < kBound);
    }
  }

  TEST_CASE("swiglu and its gradient in place are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& [M, F] : {std::pair{1, 1}, {3, 5}, {129, 67}, {1001, 384}}) {
      CAPTURE(M);
      CAPTURE(F);
      BothDevices both;
      TwinFloats x(both, random_floats({M, 2, F}, 1, -9.0f, 9.0f)),
          dy(both, random_floats({M, F}, 2)), y(both, Floats({M, F}, 9.0f));
      both.run([&](Device on, Stream& stream) {
        swiglu_forward({.x = x.on(on), .y = y.on(on)}, stream);
        swiglu_backward({.dy = dy.on(on), .x = x.on(on), .dx = x.on(on)}, stream);
      });
      CHECK(both.repeats());
      CHECK(y.error() < kBound);
      CHECK(x.error() < kBound);
    }
  }

  TEST_CASE("the sigmoid gate and its gradient are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto n : kSizes) {
      CAPTURE(n);
      BothDevices both;
      TwinFloats gate(both, random_floats({n}, 1, -30.0f, 30.0f)), x(both, random_floats({n}, 2)),
          dy(both, random_floats({n}, 3)), y(both, Floats({n}, 9.0f)), dx(both, Floats({n}, 9.0f));
      both.run([&](Device on, Stream& stream) {
        sigmoid_gate_forward({.gate = gate.on(on), .x = x.on(on), .y = y.on(on)}, stream);
        sigmoid_gate_backward({.dy = dy.on(on),
                               .gate = gate.on(on),
                               .x = x.on(on),
                               .dgate = gate.on(on),
                               .dx = dx.on(on)},
                              stream);
      });
      CHECK(both.repeats());
      CHECK(y.error() < kBound);
      CHECK(dx.error() < kBound);
      CHECK(gate.error() < kBound);
    }
  }

  TEST_CASE("scaled_add is that of the CPU and does not read b when beta is 0" *
            doctest::skip(!test::has_cuda())) {
    for (const auto n : kSizes) {
      CAPTURE(n);
      BothDevices both;
      TwinFloats a(both, random_floats({n}, 1)), b(both, random_floats({n}, 2)),
          nan(both, Floats({n}, NAN)), y(both, Floats({n}, 9.0f)), z(both, Floats({n}, 9.0f));
      both.run([&](Device on, Stream& stream) {
        scaled_add({.a = a.on(on), .b = b.on(on), .y = y.on(on), .alpha = 0.3f, .beta = -2.0f},
                   stream);
        scaled_add({.a = a.on(on), .b = nan.on(on), .y = z.on(on), .alpha = 3.0f, .beta = 0.0f},
                   stream);
      });
      CHECK(y.error() < kBound);
      CHECK(z.is_equal());
    }
  }

  TEST_CASE("three steps of adamw are those of the CPU" * doctest::skip(!test::has_cuda())) {
    for (const auto n : kSizes) {
      CAPTURE(n);
      BothDevices both;
      TwinFloats w(both, random_floats({n}, 1)), g(both, random_floats({n}, 2)),
          m(both, Floats({n})), v(both, Floats({n}));
      both.run([&](Device on, Stream& stream) {
        for (std::int64_t step = 1; step <= 3; ++step) {
          adamw({.weight = w.on(on),
                 .gradient = g.on(on),
                 .exp_avg = m.on(on),
                 .exp_avg_sq = v.on(on),
                 .learning_rate = 0.01,
                 .weight_decay = 0.1,
                 .gradient_scale = 0.5,
                 .step = step},
                stream);
        }
      });
      CHECK(both.repeats());
      CHECK(w.error() < kBound);
      CHECK(m.error() < kBound);
      CHECK(v.error() < kBound);
    }
  }

  TEST_CASE("normal numbers are those of the CPU, next to all to the last bit" *
            doctest::skip(!test::has_cuda())) {
    for (const auto first : {0, 1, 2, 3, 12345}) {
      for (const auto n : kSizes) {
        CAPTURE(first);
        CAPTURE(n);
        BothDevices both;
        TwinFloats out(both, Floats({n}, 9.0f));
        both.run([&](Device on, Stream& stream) {
          fill_normal({.out = out.on(on), .seed = 7, .name = "weight", .first = first, .std = 0.02},
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
    for (const auto n : kSizes) {
      CAPTURE(n);
      BothDevices both;
      TwinFloats x(both, random_floats({n}, 1));
      TwinDoubles out(both, Doubles({1}, 3.0));
      both.run([&](Device on, Stream& stream) {
        sum_of_squares({.x = x.on(on), .out = out.on(on)}, stream);
      });
      CHECK(both.repeats());
      CHECK(out.error() < test::tolerance(DType::kFloat64, n));
    }
  }
}

}  // namespace fulgur
