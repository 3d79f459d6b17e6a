#include "runtime/parallel/context/lightning_context.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

#include "tests/runtime/comm/ucx_group.hpp"
#include "tests/runtime/parallel/context/context_case.hpp"
#include "tests/support/lightning_oracle.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::ContextCase;
using test::Floats;
using test::Group;
using test::random_floats;
using test::relative_error;

constexpr std::int64_t kHeads = 3, kHeadDim = 5;

// All tensors of all sequences: q, k, v and their gradients of a token lie together.
struct Tensors {
  explicit Tensors(const ContextCase& c)
      : rate({kHeads}, {0.9f, 0.02f, 0.0f}),
        qkv(random_floats({c.tokens(), kHeads, 3, kHeadDim}, 1)),
        dout(random_floats({c.tokens(), kHeads, kHeadDim}, 2)),
        o(dout.dims()),
        dqkv(qkv.dims()) {}

  std::vector<double> part(const Floats& x, std::size_t which) const {
    std::vector<double> out;
    const auto d = static_cast<std::size_t>(kHeadDim);
    for (std::size_t i = 0; i < x.values.size(); ++i)
      if (i / d % 3 == which) out.push_back(static_cast<double>(x.values[i]));
    return out;
  }

  test::LightningOracle oracle(const ContextCase& c) const {
    test::LightningOracle oracle;
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

void run_rank(const ContextCase& c, LightningContext how, Communicator& ranks, Stream& stream,
              Tensors& all) {
  Stream side(Device::kCpu);
  Arena arena(Device::kCpu, 1 << 12);
  const Context ctx{stream, arena};
  const ContextGroup group{ranks, side, how};
  const int cp = ranks.rank();
  const auto documents = c.documents_of(c.dp);
  const auto plan = make_lightning_plan(ctx, c.grid, c.dp, cp, documents);

  auto rate = all.rate, qkv = test::rows_of_rank(all.qkv, c.grid, c.dp, cp),
       dout = test::rows_of_rank(all.dout, c.grid, c.dp, cp);
  Floats o(dout.dims(), 9.0f), dqkv(qkv.dims(), 9.0f),
      states({plan.slots, kHeads, kHeadDim, kHeadDim}, 9.0f);
  const auto states_in = plan.slots == 0 ? Tensor{} : states.tensor();
  const auto q = qkv.tensor().select(2, 0), k = qkv.tensor().select(2, 1),
             v = qkv.tensor().select(2, 2);
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
                              .dq = dqkv.tensor().select(2, 0),
                              .dk = dqkv.tensor().select(2, 1),
                              .dv = dqkv.tensor().select(2, 2)});
  stream.synchronize();
  side.synchronize();
  test::put_rows(o, c.grid, c.dp, cp, all.o);
  test::put_rows(dqkv, c.grid, c.dp, cp, all.dqkv);
}

Tensors run(const ContextCase& c, LightningContext how, Group group) {
  Tensors all(c);
  test::run_ranks(
      group, [&](Communicator& ranks, Stream& stream) { run_rank(c, how, ranks, stream, all); });
  return all;
}
Tensors run(const ContextCase& c, LightningContext how) {
  return run(c, how, make_local_group("cp", c.grid.cp, test::kGenerous));
}

void check_against_oracle(const ContextCase& c, const Tensors& got) {
  CAPTURE(c.text());
  const auto oracle = got.oracle(c);
  const auto bound = 4 * test::tolerance(DType::kFloat32, c.grid.length);
  const auto error = [&](const std::vector<double>& x, const std::vector<double>& expected) {
    return relative_error(test::of_dp_rank(x, c), test::of_dp_rank(expected, c));
  };
  CHECK(error(got.o.doubles(), oracle.o) < bound);
  CHECK(error(got.part(got.dqkv, 0), oracle.dq) < bound);
  CHECK(error(got.part(got.dqkv, 1), oracle.dk) < bound);
  CHECK(error(got.part(got.dqkv, 2), oracle.dv) < bound);
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
      Tensors whole(c);
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
      const auto over_ucx = run(c, how, test::make_ucx_group("cp", 3, test::kGenerous));
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
