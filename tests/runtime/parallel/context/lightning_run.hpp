#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "runtime/parallel/context/lightning_context.hpp"
#include "tests/runtime/parallel/context/context_case.hpp"
#include "tests/support/lightning_oracle.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur::test {

// Lightning attention of a case: all tensors of all sequences. q, k and v of a token and head lie
// together, and so do their gradients.
struct LightningTensors {
  static constexpr std::int64_t kHeads = 3, kHeadDim = 5;

  explicit LightningTensors(const ContextCase& c)
      : rate({kHeads}, {0.9f, 0.02f, 0.0f}),
        qkv(random_floats({c.tokens(), kHeads, 3, kHeadDim}, 1)),
        dout(random_floats({c.tokens(), kHeads, kHeadDim}, 2)),
        o(dout.dims()),
        dqkv(qkv.dims()) {}

  static std::vector<double> part(const Floats& x, std::size_t which) {
    std::vector<double> out;
    const auto d = static_cast<std::size_t>(kHeadDim);
    for (std::size_t i = 0; i < x.values.size(); ++i)
      if (i / d % 3 == which) out.push_back(static_cast<double>(x.values[i]));
    return out;
  }

  LightningOracle oracle(const ContextCase& c) const {
    LightningOracle oracle;
    const auto starts = c.all_starts();
    oracle.H = static_cast<std::size_t>(kHeads);
    oracle.d = static_cast<std::size_t>(kHeadDim);
    oracle.starts.assign(starts.begin(), starts.end());
    oracle.rate = rate.doubles();
    oracle.q = part(qkv, 0);
    oracle.k = part(qkv, 1);
    oracle.v = part(qkv, 2);
    oracle.states_in.resize(oracle.num_segments() * oracle.H * oracle.d * oracle.d);
    oracle.dout = dout.doubles();
    oracle.dstates_out = oracle.states_in;
    oracle.forward();
    oracle.backward();
    return oracle;
  }

  Floats rate, qkv, dout, o, dqkv;
};

// Forward and backward of one rank, on the device of its stream.
inline void run_lightning_rank(const ContextCase& c, LightningContext how, Communicator& ranks,
                               Stream& stream, LightningTensors& all) {
  Stream side(stream.device());
  Arena arena(stream.device());
  const Context ctx{stream, arena};
  const ContextGroup group{ranks, side, how};
  const int cp = ranks.rank();
  const auto plan = make_lightning_plan(ctx, c.grid, c.dp, cp, c.documents_of(c.dp));
  constexpr auto H = LightningTensors::kHeads, d = LightningTensors::kHeadDim;

  const auto rate = on_device(ctx, all.rate),
             qkv = on_device(ctx, rows_of_rank(all.qkv, c.grid, c.dp, cp)),
             dout = on_device(ctx, rows_of_rank(all.dout, c.grid, c.dp, cp)),
             o = on_device(ctx, Floats(dout.dims, 9.0f)),
             dqkv = on_device(ctx, Floats(qkv.dims, 9.0f));
  const auto states_in =
      plan.slots == 0 ? Tensor{} : on_device(ctx, Floats({plan.slots, H, d, d}, 9.0f));
  const auto q = qkv.select(2, 0), k = qkv.select(2, 1), v = qkv.select(2, 2);
  lightning_context_forward(
      ctx, group,
      {.q = q, .k = k, .v = v, .decay_rate = rate, .plan = plan, .states_in = states_in, .o = o});
  lightning_context_backward(ctx, group,
                             {.q = q,
                              .k = k,
                              .v = v,
                              .dout = dout,
                              .decay_rate = rate,
                              .plan = plan,
                              .states_in = states_in,
                              .dq = dqkv.select(2, 0),
                              .dk = dqkv.select(2, 1),
                              .dv = dqkv.select(2, 2)});
  put_rows(download<float>(o, stream), c.grid, c.dp, cp, all.o);
  put_rows(download<float>(dqkv, stream), c.grid, c.dp, cp, all.dqkv);
  side.synchronize();
}

inline LightningTensors run_lightning(const ContextCase& c, LightningContext how, Group& group,
                                      Device device = Device::kCpu) {
  LightningTensors all(c);
  run_ranks(
      group,
      [&](Communicator& ranks, Stream& stream) { run_lightning_rank(c, how, ranks, stream, all); },
      device);
  return all;
}

inline void check_against_oracle(const ContextCase& c, const LightningTensors& got) {
  CAPTURE(c.text());
  const auto oracle = got.oracle(c);
  const auto bound = 4 * tolerance(DType::kFloat32, c.grid.length);
  const auto error = [&](const std::vector<double>& x, const std::vector<double>& expected) {
    return relative_error(of_dp_rank(x, c), of_dp_rank(expected, c));
  };
  CHECK(error(got.o.doubles(), oracle.o) < bound);
  CHECK(error(got.part(got.dqkv, 0), oracle.dq) < bound);
  CHECK(error(got.part(got.dqkv, 1), oracle.dk) < bound);
  CHECK(error(got.part(got.dqkv, 2), oracle.dv) < bound);
}

}  // namespace fulgur::test
