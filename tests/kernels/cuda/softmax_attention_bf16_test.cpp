#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/softmax_attention.hpp"
#include "tests/support/twin_rounded.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Floats;
using test::Ints;
using test::random_floats;
using test::TwinFloats;
using test::TwinInts;
using test::TwinRounded;

struct Heads {
  std::int64_t H = 4, G = 2, d = 128;
};

// q lies in rows of [3 H, d], k and v in rows of [2 G, d], as in the projections of a layer. The
// backward call runs twice: for gradients in float32 and in bfloat16, from the same first numbers.
struct Case {
  Case(std::int64_t queries, std::int64_t keys, const Heads& heads,
       const std::vector<std::int32_t>& span_numbers)
      : T(queries),
        S(keys),
        H(heads.H),
        G(heads.G),
        d(heads.d),
        spans(both, Ints({static_cast<std::int64_t>(span_numbers.size()) / 5, 5}, span_numbers)),
        q(both, random_floats({T, 3 * H, d}, 1)),
        kv(both, random_floats({S, 2 * G, d}, 2)),
        dout(both, random_floats({T, H, d}, 3)),
        o(both, Floats({T, H, d}, 9.0f)),
        lse(both, Floats({T, H}, 9.0f)),
        dq(both, random_floats({T, H, d}, 4, -0.1f, 0.1f)),
        dkv(both, random_floats({S, 2 * G, d}, 5, -0.1f, 0.1f)),
        dq_rounded(both, random_floats({T, H, d}, 4, -0.1f, 0.1f)),
        dkv_rounded(both, random_floats({S, 2 * G, d}, 5, -0.1f, 0.1f)) {}

  void run() {
    const auto scale = 2.0f / std::sqrt(static_cast<float>(d));
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
      SoftmaxAttentionBackward backward{.dout = dout.on(on),
                                        .q = queries,
                                        .k = k,
                                        .v = v,
                                        .o = o.on(on),
                                        .lse = lse.on(on),
                                        .spans = spans.on(on),
                                        .scale = scale,
                                        .dq = dq.on(on),
                                        .dk = dkv.on(on).slice(1, 0, G),
                                        .dv = dkv.on(on).slice(1, G, G)};
      softmax_attention_backward(backward, stream);
      backward.dq = dq_rounded.on(on);
      backward.dk = dkv_rounded.on(on).slice(1, 0, G);
      backward.dv = dkv_rounded.on(on).slice(1, G, G);
      softmax_attention_backward(backward, stream);
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

  // Results, weights and ds are rounded to bfloat16, and leave an error of up to 1.7e-3 each: o has
  // two of them, gradients the part of two or three that reaches them.
  void check() {
    CAPTURE(T);
    CAPTURE(S);
    CAPTURE(d);
    run();
    CHECK(both.repeats());
    CHECK(o.error() < 2.6e-3);
    CHECK(lse_error() < 1e-5);
    CHECK(dq.error() < 3e-3);
    CHECK(dkv.error() < 3e-3);
    CHECK(dq_rounded.error() < 3.5e-3);
    CHECK(dkv_rounded.error() < 3.5e-3);
  }

  BothDevices both;
  std::int64_t T, S, H, G, d;
  TwinInts spans;
  TwinRounded q, kv, dout, o;
  TwinFloats lse, dq, dkv;
  TwinRounded dq_rounded, dkv_rounded;
};

}  // namespace

TEST_SUITE("kernels/cuda/softmax_attention_bf16") {
  TEST_CASE("packed documents of bfloat16, of any head size, are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const std::int64_t d : {1, 8, 20, 48, 64, 72, 100, 128, 136, 192, 256}) {
      const Heads heads{.d = d};
      Case(1, 1, heads, {0, 1, 0, 1, 0}).check();
      Case(200, 200, heads, {0, 200, 0, 200, 0}).check();
      Case(150, 150, heads, {0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 70, 1, 70, 0, 70, 150, 70, 150, 0})
          .check();
    }
  }

  TEST_CASE("any length of a document of bfloat16 around the tiles is that of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const std::int32_t n : {2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 257, 385})
      Case(n, n, {.H = 2, .G = 1}, {0, n, 0, n, 0}).check();
  }

  TEST_CASE("one KV head to one query head, and to eight, are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const std::int64_t G : {1, 8})
      Case(300, 300, {.H = 8, .G = G}, {0, 300, 0, 300, 0}).check();
  }

  TEST_CASE(
      "shifted spans of bfloat16, shared keys and queries that see nothing are those of the CPU" *
      doctest::skip(!test::has_cuda())) {
    for (const std::int64_t d : {48, 64, 128}) {
      const Heads heads{.d = d};
      Case(40, 100, heads, {0, 40, 0, 100, 60}).check();      // all keys are behind the queries
      Case(70, 33, heads, {0, 70, 0, 33, 1000}).check();      // every key is seen
      Case(300, 333, heads, {0, 300, 0, 333, 333}).check();   // so in whole tiles
      Case(90, 90, heads, {0, 90, 0, 90, -35}).check();       // the first queries see nothing
      Case(290, 290, heads, {0, 290, 0, 290, -135}).check();  // nor do whole tiles
      Case(40, 40, heads, {0, 40, 0, 40, -100}).check();      // no query sees a key
      Case(40, 40, heads, {}).check();                        // no spans
      Case(100, 80, heads, {10, 50, 0, 80, 20, 60, 95, 13, 77, 5}).check();  // shared keys
      Case(700, 500, heads, {5, 300, 150, 470, 20, 310, 690, 3, 450, 64}).check();
    }
  }

  TEST_CASE("many short documents of bfloat16 are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    std::vector<std::int32_t> spans;
    for (std::int32_t begin = 0; begin < 490; begin += 7)
      for (const std::int32_t number : {begin, begin + 7, begin, begin + 7, 0})
        spans.push_back(number);
    Case(490, 490, {}, spans).check();
  }

  TEST_CASE("a long document of bfloat16 is that of the CPU" * doctest::skip(!test::has_cuda())) {
    for (const std::int64_t d : {64, 128})
      Case(2000, 2000, {.d = d}, {0, 1900, 0, 1900, 0, 1900, 2000, 1900, 2000, 0}).check();
  }

  TEST_CASE("gradients of several dtypes are refused by name" * doctest::skip(!test::has_cuda())) {
    Case c(3, 3, {.d = 16}, {0, 3, 0, 3, 0});
    const auto on = Device::kCuda;
    const auto q = c.q.on(on).slice(1, 0, c.H), k = c.kv.on(on).slice(1, 0, c.G);
    const SoftmaxAttentionBackward backward{.dout = c.dout.on(on),
                                            .q = q,
                                            .k = k,
                                            .v = k,
                                            .o = c.o.on(on),
                                            .lse = c.lse.on(on),
                                            .spans = c.spans.on(on),
                                            .dq = c.dq_rounded.on(on),
                                            .dk = c.dkv.on(on).slice(1, 0, c.G),
                                            .dv = c.dkv.on(on).slice(1, 0, c.G)};
    CHECK_THROWS_WITH_AS(softmax_attention_backward(backward, c.both.gpu()),
                         doctest::Contains("softmax_attention_backward: dk"),
                         std::invalid_argument);
  }
}

}  // namespace fulgur
