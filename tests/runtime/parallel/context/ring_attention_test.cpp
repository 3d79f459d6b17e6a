#include "runtime/parallel/context/ring_attention.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/softmax_attention.hpp"
#include "tests/runtime/comm/ucx_group.hpp"
#include "tests/runtime/parallel/context/context_case.hpp"
#include "tests/support/softmax_oracle.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::ContextCase;
using test::Floats;
using test::Group;
using test::random_floats;
using test::relative_error;

constexpr std::int64_t kHeads = 4, kKvHeads = 2, kHeadDim = 5, kAll = kHeads + 2 * kKvHeads;
constexpr float kScale = 0.45f;

// All tensors of all sequences: the query, key and value heads of a token lie together, and so do
// their gradients, to which the backward pass adds.
struct Tensors {
  explicit Tensors(const ContextCase& c)
      : qkv(random_floats({c.tokens(), kAll, kHeadDim}, 1, -2.0f, 2.0f)),
        dout(random_floats({c.tokens(), kHeads, kHeadDim}, 2)),
        o(dout.dims()),
        lse({c.tokens(), kHeads}),
        dqkv(qkv.dims(), 0.5f) {}

  static std::vector<double> part(const Floats& x, std::int64_t head, std::int64_t heads,
                                  double less = 0) {
    std::vector<double> out;
    for (std::size_t i = 0; i < x.values.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i) / kHeadDim % kAll;
      if (at >= head && at < head + heads) out.push_back(static_cast<double>(x.values[i]) - less);
    }
    return out;
  }

  test::SoftmaxOracle oracle(const ContextCase& c) const {
    test::SoftmaxOracle oracle;
    oracle.T = oracle.S = c.tokens();
    oracle.H = kHeads;
    oracle.G = kKvHeads;
    oracle.d = kHeadDim;
    oracle.scale = static_cast<double>(kScale);
    const auto starts = c.all_starts();
    for (std::size_t i = 0; i + 1 < starts.size(); ++i)
      oracle.spans.push_back({starts[i], starts[i + 1], starts[i], starts[i + 1], 0});
    oracle.q = part(qkv, 0, kHeads);
    oracle.k = part(qkv, kHeads, kKvHeads);
    oracle.v = part(qkv, kHeads + kKvHeads, kKvHeads);
    oracle.dout = dout.doubles();
    oracle.backward();
    return oracle;
  }

  Floats qkv, dout, o, lse, dqkv;
};

struct Parts {
  explicit Parts(Floats& x)
      : q(x.tensor().slice(1, 0, kHeads)),
        k(x.tensor().slice(1, kHeads, kKvHeads)),
        v(x.tensor().slice(1, kHeads + kKvHeads, kKvHeads)) {}

  Tensor q, k, v;
};

void run_rank(const ContextCase& c, Communicator& ranks, Stream& stream, Tensors& all) {
  Stream side(Device::kCpu);
  Arena arena(Device::kCpu, 1 << 12);
  const Context ctx{stream, arena};
  const ContextGroup group{ranks, side};
  const int cp = ranks.rank();
  const auto documents = c.documents_of(c.dp);
  const auto plan = make_ring_plan(ctx, c.grid, c.dp, cp, documents);

  auto qkv = test::rows_of_rank(all.qkv, c.grid, c.dp, cp),
       dout = test::rows_of_rank(all.dout, c.grid, c.dp, cp),
       dqkv = test::rows_of_rank(all.dqkv, c.grid, c.dp, cp);
  Floats o(dout.dims(), 9.0f), lse({dout.dims()[0], kHeads}, 9.0f);
  const Parts x(qkv), dx(dqkv);
  ring_attention_forward(
      ctx, group,
      {.q = x.q, .k = x.k, .v = x.v, .plan = plan, .scale = kScale, .o = o, .lse = lse});
  ring_attention_backward(ctx, group,
                          {.dout = dout,
                           .q = x.q,
                           .k = x.k,
                           .v = x.v,
                           .o = o,
                           .lse = lse,
                           .plan = plan,
                           .scale = kScale,
                           .dq = dx.q,
                           .dk = dx.k,
                           .dv = dx.v});
  stream.synchronize();
  side.synchronize();
  test::put_rows(o, c.grid, c.dp, cp, all.o);
  test::put_rows(lse, c.grid, c.dp, cp, all.lse);
  test::put_rows(dqkv, c.grid, c.dp, cp, all.dqkv);
}

Tensors run(const ContextCase& c, Group group) {
  Tensors all(c);
  test::run_ranks(group,
                  [&](Communicator& ranks, Stream& stream) { run_rank(c, ranks, stream, all); });
  return all;
}
Tensors run(const ContextCase& c) {
  return run(c, make_local_group("cp", c.grid.cp, test::kGenerous));
}

void check_against_oracle(const ContextCase& c, const Tensors& got) {
  CAPTURE(c.text());
  const auto oracle = got.oracle(c);
  const auto bound = 8 * test::tolerance(DType::kFloat32, c.grid.length);
  // dq and dk are 0 where a query sees one key: there the bound is for what they are added to.
  const auto error = [&](std::vector<double> x, std::vector<double> expected, double added) {
    for (auto& value : x)
      value += added;
    for (auto& value : expected)
      value += added;
    return relative_error(test::of_dp_rank(x, c), test::of_dp_rank(expected, c));
  };
  CHECK(error(got.o.doubles(), oracle.o, 0) < bound);
  CHECK(error(got.lse.doubles(), oracle.lse, 0) < bound);
  CHECK(error(Tensors::part(got.dqkv, 0, kHeads, 0.5), oracle.dq, 0.5) < bound);
  CHECK(error(Tensors::part(got.dqkv, kHeads, kKvHeads, 0.5), oracle.dk, 0.5) < bound);
  CHECK(error(Tensors::part(got.dqkv, kHeads + kKvHeads, kKvHeads, 0.5), oracle.dv, 0.5) < bound);
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
      Tensors whole(c);
      Stream stream(Device::kCpu);
      std::vector<std::int32_t> numbers;
      const auto starts = c.all_starts();
      for (std::size_t i = 0; i + 1 < starts.size(); ++i)
        numbers.insert(numbers.end(), {starts[i], starts[i + 1], starts[i], starts[i + 1], 0});
      test::Ints spans({static_cast<std::int64_t>(starts.size()) - 1, 5}, numbers);
      const Parts x(whole.qkv), dx(whole.dqkv);
      softmax_attention_forward({.q = x.q,
                                 .k = x.k,
                                 .v = x.v,
                                 .spans = spans,
                                 .scale = kScale,
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
                                  .scale = kScale,
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
      const auto over_ucx = run(c, test::make_ucx_group("cp", 3, test::kGenerous));
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
