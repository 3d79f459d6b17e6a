#include "runtime/parallel/experts/expert_exchange.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>

#include "tests/runtime/comm/ucx_group.hpp"
#include "tests/runtime/parallel/experts/expert_oracle.hpp"
#include "tests/runtime/parallel/experts/expert_ranks.hpp"
#include "tests/runtime/parallel/experts/expert_shard.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::ExpertInputs;
using test::Floats;
using test::Ints;
using test::relative_error;
using Results = test::ExpertResults<float>;

const test::MakeGroup kLocal = [](const std::string& name, int size,
                                  std::chrono::milliseconds timeout) {
  return make_local_group(name, size, timeout);
};

struct Case {
  int edp = 1, ep = 1, etp = 1;
  std::int64_t token_groups = 1;
  Recompute recompute = Recompute::kNone;

  int size() const { return edp * ep * etp; }
};

template <class T>
test::HostTensor<T> rows(const test::HostTensor<T>& all, std::int64_t first, std::int64_t count) {
  const auto width = all.dims()[1];
  const auto begin = all.values.begin() + first * width;
  return {{count, width}, std::vector<T>(begin, begin + count * width)};
}

template <class T>
void put_rows(const test::HostTensor<T>& part, std::int64_t first, std::vector<T>& all) {
  std::copy(part.values.begin(), part.values.end(), all.begin() + first * part.dims()[1]);
}

// Runs forward and backward on the ranks of `layout`; rank r has the tokens cuts[r] .. cuts[r+1]-1.
class Run {
 public:
  Run(const ExpertInputs& in, const Case& layout, std::vector<std::int64_t> cuts)
      : in_(in), layout_(layout), cuts_(std::move(cuts)) {
    results_ = {.out = std::vector<float>(in.x.values.size()),
                .dx = std::vector<float>(in.x.values.size()),
                .dweights = std::vector<float>(in.weights.values.size()),
                .dw13 = std::vector<float>(in.w13.values.size()),
                .dw2 = std::vector<float>(in.w2.values.size())};
  }

  Results operator()(const test::MakeGroup& make_group) {
    test::ExpertRanks ranks(layout_.edp, layout_.ep, layout_.etp, make_group);
    ranks.run(layout_.token_groups, [this](int rank, const ExpertGroups& groups, Stream& stream) {
      run_rank(rank, groups, stream);
    });
    return results_;
  }

 private:
  void run_rank(int rank, const ExpertGroups& groups, Stream& stream) {
    const test::ExpertShard shard(in_, layout_.ep, layout_.etp, rank);
    Floats w13(shard.w13_dims()), w2(shard.w2_dims());
    for (std::size_t i = 0; i < w13.values.size(); ++i)
      w13.values[i] = in_.w13.values[shard.w13(i)];
    for (std::size_t i = 0; i < w2.values.size(); ++i)
      w2.values[i] = in_.w2.values[shard.w2(i)];
    Floats dw13(shard.w13_dims()), dw2(shard.w2_dims());

    const auto first = cuts_[static_cast<std::size_t>(rank)];
    const auto count = cuts_[static_cast<std::size_t>(rank) + 1] - first;
    auto x = rows(in_.x, first, count), weights = rows(in_.weights, first, count),
         dout = rows(in_.dout, first, count);
    auto experts = rows(in_.experts, first, count);
    Floats out(x.dims(), 9.0f), dx(x.dims(), 9.0f), dweights(weights.dims(), 9.0f);

    Arena arena(Device::kCpu);
    const Context ctx{stream, arena};
    Arena operands(Device::kCpu);
    const ExpertExchange exchange(groups, {w13, w2}, {dw13, dw2}, layout_.recompute);
    ExpertExchange::Saved saved;
    const Arena::Scope scope(arena);
    exchange.forward(ctx, {.x = x, .weights = weights, .experts = experts, .out = out}, saved);
    std::vector<ExpertExchange::WeightWork> later;  // outlives what backward has of ctx.arena
    {
      const Arena::Scope backward_scope(arena);
      exchange.backward(ctx, {stream, operands},
                        {.dout = dout, .weights = weights, .dx = dx, .dweights = dweights}, saved,
                        [&](auto work) { later.push_back(std::move(work)); });
    }
    overwrite(ctx, static_cast<std::int64_t>(arena.high_water_bytes()));
    for (const auto& work : later)
      work(stream);
    stream.synchronize();

    put_rows(out, first, results_.out);
    put_rows(dx, first, results_.dx);
    put_rows(dweights, first, results_.dweights);
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < dw13.values.size(); ++i)
      results_.dw13[shard.w13(i)] += dw13.values[i];
    for (std::size_t i = 0; i < dw2.values.size(); ++i)
      results_.dw2[shard.w2(i)] += dw2.values[i];
  }

  // Whoever still reads memory that was given back sees these.
  static void overwrite(const Context& ctx, std::int64_t bytes) {
    const Arena::Scope scope(ctx.arena);
    const auto block = ctx.arena.allocate({bytes}, DType::kUInt8);
    ctx.stream.run([block] { std::fill_n(block.as<std::uint8_t>(), block.count(), 0xff); });
  }

  const ExpertInputs& in_;
  Case layout_;
  std::vector<std::int64_t> cuts_;
  std::mutex mutex_;
  Results results_;  // the weights' are guarded by mutex_
};

// Uneven, some of them empty.
std::vector<std::int64_t> uneven_cuts(std::int64_t tokens, int ranks) {
  std::mt19937 generator(static_cast<unsigned>(ranks));
  std::uniform_int_distribution<std::int64_t> uniform(0, tokens);
  std::vector<std::int64_t> cuts{0, tokens};
  for (int rank = 1; rank < ranks; ++rank)
    cuts.push_back(rank == 2 ? 0 : uniform(generator));
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

// Sums over at most 64 products, in float32 and in another order.
constexpr double kTolerance = 2e-6;

template <class A, class B>
void check_equal(const test::ExpertResults<A>& got, const test::ExpertResults<B>& expected) {
  CHECK(relative_error(got.out, expected.out) < kTolerance);
  CHECK(relative_error(got.dx, expected.dx) < kTolerance);
  CHECK(relative_error(got.dweights, expected.dweights) < kTolerance);
  CHECK(relative_error(got.dw13, expected.dw13) < kTolerance);
  CHECK(relative_error(got.dw2, expected.dw2) < kTolerance);
}

const std::vector<Case> kLayouts{{1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2}, {1, 2, 2},
                                 {2, 2, 1}, {2, 1, 2}, {3, 1, 2}, {1, 4, 1}, {1, 1, 4},
                                 {2, 2, 2}, {1, 4, 2}, {1, 2, 4}, {2, 4, 1}, {2, 1, 4}};

}  // namespace

TEST_SUITE("runtime/parallel/experts/expert_exchange") {
  TEST_CASE("every layout and number of token groups gives the results of the float64 oracle") {
    const auto in = test::random_expert_inputs(37, 5, 3, 12, 8);
    const auto expected = test::ExpertOracle(in).results();
    for (auto layout : kLayouts) {
      for (const auto groups : {1, 2, 3, 8}) {
        layout.token_groups = groups;
        CAPTURE(layout.edp);
        CAPTURE(layout.ep);
        CAPTURE(layout.etp);
        CAPTURE(groups);
        check_equal(Run(in, layout, uneven_cuts(37, layout.size()))(kLocal), expected);
      }
    }
  }

  TEST_CASE("token groups change no bit of the outputs and of the gradients of the tokens") {
    const auto in = test::random_expert_inputs(41, 6, 2, 4, 4);
    for (const auto& shape : {Case{1, 2, 2}, {2, 2, 1}, {1, 1, 4}}) {
      CAPTURE(shape.ep);
      CAPTURE(shape.etp);
      const auto cuts = uneven_cuts(41, shape.size());
      const auto one = Run(in, shape, cuts)(kLocal);
      for (const auto groups : {2, 5, 64}) {
        CAPTURE(groups);
        auto layout = shape;
        layout.token_groups = groups;
        const auto cut = Run(in, layout, cuts)(kLocal);
        CHECK(cut.out == one.out);
        CHECK(cut.dx == one.dx);
        CHECK(cut.dweights == one.dweights);
        CHECK(relative_error(cut.dw13, one.dw13) < kTolerance);
        CHECK(relative_error(cut.dw2, one.dw2) < kTolerance);
      }
    }
  }

  TEST_CASE("activations that are calculated again change no bit") {
    const auto in = test::random_expert_inputs(41, 6, 2, 4, 4);
    for (auto layout : {Case{1, 1, 1}, {1, 2, 2, 3}}) {
      CAPTURE(layout.ep);
      const auto cuts = uneven_cuts(41, layout.size());
      const auto kept = Run(in, layout, cuts)(kLocal);
      layout.recompute = Recompute::kSelective;
      const auto again = Run(in, layout, cuts)(kLocal);
      CHECK(again.out == kept.out);
      CHECK(again.dx == kept.dx);
      CHECK(again.dw13 == kept.dw13);
      CHECK(again.dw2 == kept.dw2);
    }
  }

  TEST_CASE("the same run twice gives the same bits") {
    const auto in = test::random_expert_inputs(29, 6, 2, 4, 4);
    const Case layout{1, 2, 2, 3};
    const auto first = Run(in, layout, uneven_cuts(29, 4))(kLocal);
    const auto second = Run(in, layout, uneven_cuts(29, 4))(kLocal);
    CHECK(first.out == second.out);
    CHECK(first.dx == second.dx);
    CHECK(first.dw13 == second.dw13);
    CHECK(first.dw2 == second.dw2);
  }

  TEST_CASE("all tokens on one rank and all of them for one expert are worked on there") {
    auto in = test::random_expert_inputs(17, 5, 2, 8, 4);
    std::fill(in.experts.values.begin(), in.experts.values.end(), 5);
    const auto expected = test::ExpertOracle(in).results();
    for (const auto& layout : {Case{1, 4, 1, 2}, {1, 2, 2, 3}, {2, 2, 1, 1}, {1, 1, 4, 4}}) {
      CAPTURE(layout.ep);
      check_equal(Run(in, layout, {0, 0, 17, 17, 17})(kLocal), expected);
      check_equal(Run(in, layout, {0, 0, 0, 0, 17})(kLocal), expected);
    }
  }

  TEST_CASE("without a token or with all assignments dropped nothing is added") {
    auto in = test::random_expert_inputs(6, 3, 2, 4, 4);
    std::fill(in.experts.values.begin(), in.experts.values.end(), -1);
    const auto expected = test::ExpertOracle(in).results();
    for (const auto& layout : {Case{1, 1, 1, 1}, {1, 2, 2, 2}}) {
      CAPTURE(layout.ep);
      check_equal(Run(in, layout, uneven_cuts(6, layout.size()))(kLocal), expected);
      const auto none = test::random_expert_inputs(0, 3, 2, 4, 4);
      check_equal(Run(none, layout, uneven_cuts(0, layout.size()))(kLocal),
                  test::ExpertOracle(none).results());
    }
  }

  TEST_CASE("over UCX the results are those of the float64 oracle") {
    const auto in = test::random_expert_inputs(37, 5, 3, 12, 8);
    const auto expected = test::ExpertOracle(in).results();
    check_equal(Run(in, {1, 2, 2, 3}, uneven_cuts(37, 4))(test::make_ucx_group), expected);
  }

  TEST_CASE("weights that do not fit together are refused by name") {
    test::ExpertRanks ranks(1, 1, 1, kLocal);
    ranks.run(1, [](int, const ExpertGroups& groups, Stream&) {
      Floats w13({4, 2, 3, 5}), w2({4, 5, 3}), wrong({4, 3, 5});
      CHECK_THROWS_WITH_AS(ExpertExchange(groups, {w13, wrong}, {w13, w2}),
                           "experts: w13: expected dims [ 4 2 5 3 ], got [ 4 2 3 5 ]",
                           std::invalid_argument);
      Floats fewer({3, 2, 3, 5}), fewer_w2({3, 5, 3});
      CHECK_THROWS_WITH_AS(ExpertExchange(groups, {w13, w2}, {fewer, fewer_w2}),
                           "experts: dw13: expected dims [ 4 2 3 5 ], got [ 3 2 3 5 ]",
                           std::invalid_argument);
    });
  }
}

}  // namespace fulgur
