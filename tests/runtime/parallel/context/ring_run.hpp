#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "runtime/parallel/context/ring_attention.hpp"
#include "tests/runtime/parallel/context/context_case.hpp"
#include "tests/support/softmax_oracle.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur::test {

// Softmax attention of a case: all tensors of all sequences. The query, key and value heads of a
// token lie together, and so do their gradients, to which the backward pass adds.
struct RingTensors {
  static constexpr std::int64_t kHeads = 4, kKvHeads = 2, kHeadDim = 5;
  static constexpr std::int64_t kAll = kHeads + 2 * kKvHeads, kValues = kHeads + kKvHeads;
  static constexpr float kScale = 0.45f;
  static constexpr double kAddedTo = 0.5;  // what the gradients hold before

  explicit RingTensors(const ContextCase& c)
      : qkv(random_floats({c.tokens(), kAll, kHeadDim}, 1, -2.0f, 2.0f)),
        dout(random_floats({c.tokens(), kHeads, kHeadDim}, 2)),
        o(dout.dims()),
        lse({c.tokens(), kHeads}),
        dqkv(qkv.dims(), static_cast<float>(kAddedTo)) {}

  static std::vector<double> part(const Floats& x, std::int64_t head, std::int64_t heads) {
    std::vector<double> out;
    for (std::size_t i = 0; i < x.values.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i) / kHeadDim % kAll;
      if (at >= head && at < head + heads) out.push_back(static_cast<double>(x.values[i]));
    }
    return out;
  }

  SoftmaxOracle oracle(const ContextCase& c) const {
    SoftmaxOracle oracle;
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
    oracle.v = part(qkv, kValues, kKvHeads);
    oracle.dout = dout.doubles();
    oracle.backward();
    return oracle;
  }

  Floats qkv, dout, o, lse, dqkv;
};

// The heads of q, k and v in one tensor.
struct RingParts {
  explicit RingParts(const Tensor& x)
      : q(x.slice(1, 0, RingTensors::kHeads)),
        k(x.slice(1, RingTensors::kHeads, RingTensors::kKvHeads)),
        v(x.slice(1, RingTensors::kValues, RingTensors::kKvHeads)) {}

  Tensor q, k, v;
};

// Forward and backward of one rank, on the device of its stream.
inline void run_ring_rank(const ContextCase& c, Communicator& ranks, Stream& stream,
                          RingTensors& all) {
  Stream side(stream.device());
  Arena arena(stream.device());
  const Context ctx{stream, arena};
  const ContextGroup group{ranks, side};
  const int cp = ranks.rank();
  const auto plan = make_ring_plan(ctx, c.grid, c.dp, cp, c.documents_of(c.dp));

  const auto qkv = on_device(ctx, rows_of_rank(all.qkv, c.grid, c.dp, cp)),
             dout = on_device(ctx, rows_of_rank(all.dout, c.grid, c.dp, cp)),
             dqkv = on_device(ctx, rows_of_rank(all.dqkv, c.grid, c.dp, cp)),
             o = on_device(ctx, Floats(dout.dims, 9.0f)),
             lse = on_device(ctx, Floats({dout.dims[0], dout.dims[1]}, 9.0f));
  const RingParts x(qkv), dx(dqkv);
  const auto scale = RingTensors::kScale;
  ring_attention_forward(
      ctx, group, {.q = x.q, .k = x.k, .v = x.v, .plan = plan, .scale = scale, .o = o, .lse = lse});
  ring_attention_backward(ctx, group,
                          {.dout = dout,
                           .q = x.q,
                           .k = x.k,
                           .v = x.v,
                           .o = o,
                           .lse = lse,
                           .plan = plan,
                           .scale = scale,
                           .dq = dx.q,
                           .dk = dx.k,
                           .dv = dx.v});
  put_rows(download<float>(o, stream), c.grid, c.dp, cp, all.o);
  put_rows(download<float>(lse, stream), c.grid, c.dp, cp, all.lse);
  put_rows(download<float>(dqkv, stream), c.grid, c.dp, cp, all.dqkv);
  side.synchronize();
}

inline RingTensors run_ring(const ContextCase& c, Group& group, Device device = Device::kCpu) {
  RingTensors all(c);
  run_ranks(
      group, [&](Communicator& ranks, Stream& stream) { run_ring_rank(c, ranks, stream, all); },
      device);
  return all;
}

inline void check_against_oracle(const ContextCase& c, const RingTensors& got) {
  CAPTURE(c.text());
  const auto oracle = got.oracle(c);
  const auto bound = 8 * tolerance(DType::kFloat32, c.grid.length);
  const auto error = [&](const std::vector<double>& x, std::vector<double> expected,
                         double added_to) {
    for (auto& value : expected)
      value += added_to;
    return relative_error(of_dp_rank(x, c), of_dp_rank(expected, c));
  };
  using R = RingTensors;
  CHECK(error(got.o.doubles(), oracle.o, 0) < bound);
  CHECK(error(got.lse.doubles(), oracle.lse, 0) < bound);
  CHECK(error(R::part(got.dqkv, 0, R::kHeads), oracle.dq, R::kAddedTo) < bound);
  CHECK(error(R::part(got.dqkv, R::kHeads, R::kKvHeads), oracle.dk, R::kAddedTo) < bound);
  CHECK(error(R::part(got.dqkv, R::kValues, R::kKvHeads), oracle.dv, R::kAddedTo) < bound);
}

}  // namespace fulgur::test
