#include "runtime/parallel/context/ring_attention.hpp"

#include <doctest/doctest.h>

#include "kernels/softmax_attention.hpp"
#include "tests/runtime/comm/ucx_group.hpp"
#include "tests/runtime/parallel/context/ring_run.hpp"

namespace fulgur {
namespace {

using test::check_against_oracle;
using test::ContextCase;
using test::RingParts;
using test::RingTensors;

RingTensors run(const ContextCase& c) {
  auto group = make_local_group("cp", c.grid.cp, test::kGenerous);
  return test::run_ring(c, group);
}

RingPlan plan_of(const TokenGrid& grid, int cp, const std::vector<std::int32_t>& starts) {
  Stream stream(Device::kCpu);
  Arena arena(Device::kCpu);
  const std::vector<std::vector<std::int32_t>> documents{starts};
  auto plan = make_ring_plan({stream, arena}, grid, 0, cp, documents);
  stream.synchronize();
  return plan;
}

}  // namespace

TEST_SUITE("runtime/parallel/context") {
  TEST_CASE("softmax attention over ranks equals that over whole documents") {
    for (const int cp : {1, 2, 3, 4})
      for (const auto& c : test::context_cases(cp))
        check_against_oracle(c, run(c));
  }

  TEST_CASE("one rank calculates the bits of the softmax kernel over whole documents") {
    for (const auto& c : test::context_cases(1)) {
      if (c.grid.dp > 1) continue;
      CAPTURE(c.text());
      auto got = run(c);
      RingTensors whole(c);
      Stream stream(Device::kCpu);
      std::vector<std::int32_t> numbers;
      const auto starts = c.all_starts();
      for (std::size_t i = 0; i + 1 < starts.size(); ++i)
        numbers.insert(numbers.end(), {starts[i], starts[i + 1], starts[i], starts[i + 1], 0});
      test::Ints spans({static_cast<std::int64_t>(starts.size()) - 1, 5}, numbers);
      const RingParts x(whole.qkv), dx(whole.dqkv);
      softmax_attention_forward({.q = x.q,
                                 .k = x.k,
                                 .v = x.v,
                                 .spans = spans,
                                 .scale = RingTensors::kScale,
                                 .o = whole.o,
                                 .lse = whole.lse},
                                stream);
      softmax_attention_backward({.dout = whole.dout,
                                  .q = x.q,
                                  .k = x.k,
                                  .v = x.v,
                                  .o = whole.o,
                                  .lse = whole.lse,
                                  .spans = spans,
                                  .scale = RingTensors::kScale,
                                  .dq = dx.q,
                                  .dk = dx.k,
                                  .dv = dx.v},
                                 stream);
      stream.synchronize();
      CHECK(got.o.values == whole.o.values);
      CHECK(got.lse.values == whole.lse.values);
      CHECK(got.dqkv.values == whole.dqkv.values);
    }
  }

  TEST_CASE("keys, values and their gradients travel over UCX as between threads") {
    const auto cases = test::context_cases(3);
    for (const std::size_t i : {std::size_t{2}, std::size_t{7}}) {
      const auto& c = cases.at(i);
      auto group = test::make_ucx_group("cp", 3, test::kGenerous);
      const auto over_ucx = test::run_ring(c, group);
      const auto between_threads = run(c);
      CHECK(over_ucx.o.values == between_threads.o.values);
      CHECK(over_ucx.dqkv.values == between_threads.dqkv.values);
      check_against_oracle(c, over_ucx);
    }
  }

  TEST_CASE("blocks in the future and blocks that no document spans have no kernel call") {
    const TokenGrid contiguous{
        .sequences = 1, .length = 40, .cp = 4, .order = ContextOrder::kContiguous};
    CHECK(plan_of(contiguous, 0, {0, 40}).calls.size() == 1);  // itself only
    CHECK(plan_of(contiguous, 3, {0, 40}).calls.size() == 4);
    CHECK(plan_of(contiguous, 3, {0, 25, 40}).calls.size() == 2);
    CHECK(plan_of(contiguous, 3, {0, 30, 40}).calls.size() == 1);

    // Rank 1 has chunks 1 and 6. It attends to both chunks of ranks 2 and 3 before chunk 6 (2 to 5)
    // and to chunk 0 of rank 0; chunk 7 is in the future.
    const TokenGrid zigzag{.sequences = 1, .length = 40, .cp = 4, .order = ContextOrder::kZigzag};
    const auto plan = plan_of(zigzag, 1, {0, 40});
    std::vector<int> hops;
    for (const auto& call : plan.calls)
      hops.push_back(call.hop);
    CHECK(hops == std::vector<int>{0, 0, 1, 2, 2, 3, 3});
    CHECK(plan.calls[3].q_begin == 5);  // only the queries of chunk 6
    CHECK(plan.calls[3].q_count == 5);
  }

  TEST_CASE("the ring ends at the last hop that any rank needs") {
    const TokenGrid grid{.sequences = 1, .length = 40, .cp = 4, .order = ContextOrder::kContiguous};
    for (int rank = 0; rank < 4; ++rank) {
      CHECK(plan_of(grid, rank, {0, 40}).hops == 3);
      CHECK(plan_of(grid, rank, {0, 15, 25, 40}).hops == 1);
      CHECK(plan_of(grid, rank, {0, 10, 35, 40}).hops == 2);
      CHECK(plan_of(grid, rank, {0, 10, 20, 30, 40}).hops == 0);
    }
  }
}

}  // namespace fulgur
