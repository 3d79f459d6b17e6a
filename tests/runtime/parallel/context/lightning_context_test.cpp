#include "runtime/parallel/context/lightning_context.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/runtime/comm/ucx_group.hpp"
#include "tests/runtime/parallel/context/lightning_run.hpp"

namespace fulgur {
namespace {

using test::check_against_oracle;
using test::ContextCase;
using test::LightningTensors;
using test::relative_error;

LightningTensors run(const ContextCase& c, LightningContext how) {
  auto group = make_local_group("cp", c.grid.cp, test::kGenerous);
  return test::run_lightning(c, how, group);
}

}  // namespace

TEST_SUITE("runtime/parallel/context") {
  TEST_CASE("lightning attention over ranks equals the recurrence over whole documents") {
    for (const int cp : {1, 2, 3, 4})
      for (const auto& c : test::context_cases(cp))
        check_against_oracle(c, run(c, LightningContext::kLaspPlus));
  }

  TEST_CASE("states that travel the ring give what gathered states give") {
    for (const int cp : {2, 3, 4})
      for (const auto& c : test::context_cases(cp)) {
        CAPTURE(c.text());
        const auto ring = run(c, LightningContext::kLasp);
        const auto gathered = run(c, LightningContext::kLaspPlus);
        const auto bound = 4 * test::tolerance(DType::kFloat32, c.grid.length);
        CHECK(relative_error(ring.o.values, gathered.o.values) < bound);
        CHECK(relative_error(ring.dqkv.values, gathered.dqkv.values) < bound);
        check_against_oracle(c, ring);
      }
  }

  TEST_CASE("one rank calculates the bits of the kernel over whole documents") {
    for (const auto& c : test::context_cases(1)) {
      if (c.grid.dp > 1) continue;
      CAPTURE(c.text());
      auto got = run(c, LightningContext::kLaspPlus);
      LightningTensors whole(c);
      Stream stream(Device::kCpu);
      const auto starts = c.all_starts();
      const auto S = static_cast<std::int64_t>(starts.size()) - 1;
      test::Ints begins({S + 1}, starts), none({S}, -1);
      const auto q = whole.qkv.tensor().select(2, 0), k = whole.qkv.tensor().select(2, 1),
                 v = whole.qkv.tensor().select(2, 2);
      const LightningSegments segments{.starts = begins, .in_slot = none, .out_slot = none};
      lightning_output_forward({.q = q,
                                .k = k,
                                .v = v,
                                .decay_rate = whole.rate,
                                .segments = segments,
                                .states_in = {},
                                .o = whole.o},
                               stream);
      lightning_output_backward({.q = q,
                                 .k = k,
                                 .v = v,
                                 .dout = whole.dout,
                                 .decay_rate = whole.rate,
                                 .segments = segments,
                                 .states_in = {},
                                 .dstates_out = {},
                                 .dq = whole.dqkv.tensor().select(2, 0),
                                 .dk = whole.dqkv.tensor().select(2, 1),
                                 .dv = whole.dqkv.tensor().select(2, 2)},
                                stream);
      stream.synchronize();
      CHECK(got.o.values == whole.o.values);
      CHECK(got.dqkv.values == whole.dqkv.values);
    }
  }

  TEST_CASE("lightning states travel over UCX as between threads") {
    const auto cases = test::context_cases(3);
    for (const auto how : {LightningContext::kLaspPlus, LightningContext::kLasp}) {
      const auto& c = cases.at(2);
      auto group = test::make_ucx_group("cp", 3, test::kGenerous);
      const auto over_ucx = test::run_lightning(c, how, group);
      const auto between_threads = run(c, how);
      CHECK(over_ucx.o.values == between_threads.o.values);
      CHECK(over_ucx.dqkv.values == between_threads.dqkv.values);
      check_against_oracle(c, over_ucx);
    }
  }

  TEST_CASE("documents that do not fit the sequences are refused") {
    Stream stream(Device::kCpu);
    Arena arena(Device::kCpu);
    const Context ctx{stream, arena};
    const TokenGrid grid{.sequences = 2, .length = 10, .dp = 1, .cp = 2, .tp = 1};
    const auto refused = [&](std::vector<std::vector<std::int32_t>> documents, const char* why) {
      CHECK_THROWS_WITH_AS(make_lightning_plan(ctx, grid, 0, 0, documents), doctest::Contains(why),
                           std::invalid_argument);
    };
    refused({{0, 10}}, "expected those of 2 sequences, got 1");
    refused({{0, 10}, {0, 9}}, "from 0 to 10");
    refused({{0, 10}, {0, 6, 5, 10}}, "from 0 to 10");
    refused({{0, 10}, {1, 10}}, "from 0 to 10");
  }
}

}  // namespace fulgur
