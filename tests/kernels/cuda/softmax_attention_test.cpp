#include "kernels/softmax_attention.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Floats;
using test::Ints;
using test::random_floats;
using test::TwinFloats;
using test::TwinInts;

struct Case {
  Case(std::int64_t queries, std::int64_t keys, std::int64_t head_dim,
       const std::vector<std::int32_t>& span_numbers)
      : T(queries),
        S(keys),
        d(head_dim),
        spans(both, Ints({static_cast<std::int64_t>(span_numbers.size()) / 5, 5}, span_numbers)),
        q(both, random_floats({T, 3 * H, d}, 1)),
        kv(both, random_floats({S, 2 * G, d}, 2)),
        dout(both, random_floats({T, H, d}, 3)),
        o(both, Floats({T, H, d}, 9.0f)),
        lse(both, Floats({T, H}, 9.0f)),
        dq(both, random_floats({T, H, d}, 4)),
        dkv(both, random_floats({S, 2 * G, d}, 5)) {}

  void run() {
    const auto scale = 1.0f / std::sqrt(static_cast<float>(d));
    both.run([&](Device on, Stream& stream) {
      const auto queries = q.on(on).slice(1, H, H), k = kv.on(on).slice(1, 0, G),
                 v = kv.on(on).slice(1, G, G);
      softmax_attention_forward({.q = queries,
                                 .k = k,
                                 .v = v,
                                 .spans = spans.on(on),
                                 .scale = scale,
                                 .o = o.on(on),
                                 .lse = lse.on(on)},
                                stream);
      softmax_attention_backward({.dout = dout.on(on),
                                  .q = queries,
                                  .k = k,
                                  .v = v,
                                  .o = o.on(on),
                                  .lse = lse.on(on),
                                  .spans = spans.on(on),
                                  .scale = scale,
                                  .dq = dq.on(on),
                                  .dk = dkv.on(on).slice(1, 0, G),
                                  .dv = dkv.on(on).slice(1, G, G)},
                                 stream);
    });
  }

  // Minus infinity stands where a query sees nothing, on both devices alike; a number elsewhere.
  double lse_error() {
    auto gpu = lse.on_gpu(), cpu = lse.on_cpu();
    for (std::size_t i = 0; i < cpu.size(); ++i) {
      if (std::isinf(gpu[i]) && gpu[i] == cpu[i]) gpu[i] = cpu[i] = 0;
    }
    return test::relative_error(gpu, cpu);
  }

  void check() {
    run();
    const auto bound = 2 * test::tolerance(DType::kFloat32, S + d);
    CHECK(both.repeats());
    CHECK(o.error() < bound);
    CHECK(lse_error() < bound);
    CHECK(dq.error() < bound);
    CHECK(dkv.error() < bound);
  }

  static constexpr std::int64_t H = 4, G = 2;
  BothDevices both;
  std::int64_t T, S, d;
  TwinInts spans;
  TwinFloats q, kv, dout, o, lse, dq, dkv;
};

}  // namespace

TEST_SUITE("kernels/cuda/softmax_attention") {
  TEST_CASE("packed documents of any head size are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const std::int64_t d : {1, 20, 32, 64, 100, 128, 192, 256}) {
      CAPTURE(d);
      Case(1, 1, d, {0, 1, 0, 1, 0}).check();
      Case(200, 200, d, {0, 200, 0, 200, 0}).check();
      Case(150, 150, d, {0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 70, 1, 70, 0, 70, 150, 70, 150, 0})
          .check();
    }
  }

  TEST_CASE("shifted spans, shared keys and queries that see nothing are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    SUBCASE("all keys are behind the queries") {
      Case(40, 100, 48, {0, 40, 0, 100, 60}).check();
    }
    SUBCASE("every key is seen") {
      Case(70, 33, 48, {0, 70, 0, 33, 1000}).check();
    }
    SUBCASE("the first queries see nothing") {
      Case(90, 90, 48, {0, 90, 0, 90, -35}).check();
    }
    SUBCASE("no query sees a key") {
      Case(40, 40, 48, {0, 40, 0, 40, -100}).check();
    }
    SUBCASE("no spans") {
      Case(40, 40, 48, {}).check();
    }
    SUBCASE("two spans share keys, and some queries have no span") {
      Case(100, 80, 48, {10, 50, 0, 80, 20, 60, 95, 13, 77, 5}).check();
    }
  }

  TEST_CASE("a long document is that of the CPU" * doctest::skip(!test::has_cuda())) {
    Case(2000, 2000, 128, {0, 1900, 0, 1900, 0, 1900, 2000, 1900, 2000, 0}).check();
  }

  TEST_CASE("a head that is too large is refused by name" * doctest::skip(!test::has_cuda())) {
    Case c(3, 3, 257, {0, 3, 0, 3, 0});
    CHECK_THROWS_AS(c.run(), std::invalid_argument);
  }
}

}  // namespace fulgur
