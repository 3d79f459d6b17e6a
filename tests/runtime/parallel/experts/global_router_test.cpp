#include "runtime/parallel/experts/global_router.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

#include "tests/runtime/comm/ucx_group.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/run_ranks.hpp"

namespace fulgur {
namespace {

using test::Ints;

constexpr std::int64_t kExperts = 7, kChoices = 2;

// What the router chose for every token of the micro-batch, and a capacity.
struct Case {
  Case(std::int64_t sequence_count, std::int64_t tokens, double capacity)
      : sequences(sequence_count),
        length(tokens),
        factor(capacity),
        // Lopsided: of two random experts the lower one.
        experts(test::random_ints({sequence_count * tokens, kChoices}, 1, 0, kExperts - 1)) {
    const auto second = test::random_ints(experts.dims(), 2, 0, kExperts - 1);
    for (std::size_t i = 0; i < experts.values.size(); ++i)
      experts.values[i] = std::min(experts.values[i], second.values[i]);
  }

  // Tokens in the order of sequence and position: one counter for each expert.
  std::vector<std::int32_t> expected() const {
    std::vector<std::int64_t> taken(kExperts);
    auto kept = experts.values;
    for (auto& expert : kept) {
      if (taken[static_cast<std::size_t>(expert)]++ >=
          expert_capacity(factor, kChoices, sequences * length, kExperts))
        expert = -1;
    }
    return kept;
  }

  std::int64_t sequences, length;
  double factor;
  Ints experts;  // [sequences * length, k]
};

struct Result {
  std::vector<std::int32_t> kept;
  std::vector<std::int32_t> dropped, dropped_local;  // of every rank
};

// A rank's tokens, as indices into the micro-batch, in row order.
std::vector<std::int64_t> tokens_of(const TokenGrid& grid, int rank) {
  std::vector<std::int64_t> tokens;
  for (const auto& run :
       token_runs(grid, rank / (grid.cp * grid.tp), rank / grid.tp % grid.cp, rank % grid.tp)) {
    for (auto position = run.begin; position < run.end; ++position)
      tokens.push_back(run.sequence * grid.length + position);
  }
  return tokens;
}

Ints take(const Ints& all, const std::vector<std::int64_t>& tokens) {
  Ints part({static_cast<std::int64_t>(tokens.size()), kChoices});
  for (std::size_t i = 0; i < part.values.size(); ++i)
    part.values[i] =
        all.values[static_cast<std::size_t>(tokens[i / kChoices]) * kChoices + i % kChoices];
  return part;
}

Result drop(const Case& c, const TokenGrid& grid, test::Group group) {
  const auto ranks = group.size();
  Result result{.kept = std::vector<std::int32_t>(c.experts.values.size(), -9),
                .dropped = std::vector<std::int32_t>(ranks),
                .dropped_local = std::vector<std::int32_t>(ranks)};
  test::run_ranks(group, [&](Communicator& stage, Stream& stream) {
    const auto tokens = tokens_of(grid, stage.rank());
    auto experts = take(c.experts, tokens);
    Ints kept(experts.dims(), -9), dropped({1}, 100), dropped_local({1}, 200);
    Arena arena(Device::kCpu);
    drop_over_capacity({stream, arena}, stage, grid,
                       {.experts = experts,
                        .kept = kept,
                        .dropped = dropped,
                        .dropped_local = dropped_local,
                        .num_experts = kExperts,
                        .capacity_factor = c.factor});
    stream.synchronize();
    const auto rank = static_cast<std::size_t>(stage.rank());
    for (std::size_t i = 0; i < kept.values.size(); ++i)
      result.kept[static_cast<std::size_t>(tokens[i / kChoices]) * kChoices + i % kChoices] =
          kept.values[i];
    result.dropped[rank] = dropped.values[0] - 100;
    result.dropped_local[rank] = dropped_local.values[0] - 200;
  });
  return result;
}

// What a rank's own tokens exceed its own capacity by.
std::int64_t expected_alone(const Case& c, const TokenGrid& grid, int rank) {
  const auto experts = take(c.experts, tokens_of(grid, rank));
  const auto capacity = expert_capacity(c.factor, kChoices, experts.dims()[0], kExperts);
  std::int64_t excess = 0;
  for (std::int32_t e = 0; e < kExperts; ++e) {
    const auto count = std::count(experts.values.begin(), experts.values.end(), e);
    excess += std::max<std::int64_t>(count - capacity, 0);
  }
  return excess;
}

void check(const Case& c, const TokenGrid& grid, test::Group group) {
  const auto result = drop(c, grid, std::move(group));
  CHECK(result.kept == c.expected());
  for (int rank = 0; rank < grid.dp * grid.cp * grid.tp; ++rank) {
    CAPTURE(rank);
    const auto r = static_cast<std::size_t>(rank);
    std::int64_t dropped = 0;
    for (const auto token : tokens_of(grid, rank)) {
      for (std::int64_t j = 0; j < kChoices; ++j)
        dropped += result.kept[static_cast<std::size_t>(token * kChoices + j)] < 0;
    }
    CHECK(result.dropped[r] == dropped);
    CHECK(result.dropped_local[r] == expected_alone(c, grid, rank));
  }
}

}  // namespace

TEST_SUITE("runtime/parallel/experts/global_router") {
  TEST_CASE("an expert takes its share of the assignments, rounded up") {
    CHECK(expert_capacity(1.0, 2, 16, 8) == 4);
    CHECK(expert_capacity(1.25, 2, 16, 8) == 5);
    CHECK(expert_capacity(1.0, 2, 17, 8) == 5);
    CHECK(expert_capacity(0.1, 1, 1, 8) == 1);
    CHECK(expert_capacity(2.0, 2, 0, 8) == 0);
  }

  TEST_CASE("on every layout and order those behind the capacity in the sequences are dropped") {
    for (const auto factor : {0.05, 0.7, 1.0, 1.5}) {
      const Case c(8, 13, factor);
      for (const auto order : {ContextOrder::kZigzag, ContextOrder::kContiguous}) {
        for (const int dp : {1, 2, 4, 8}) {
          for (const int cp : {1, 2, 3}) {
            for (const int tp : {1, 2, 5}) {
              if (dp * cp * tp > 8) continue;
              CAPTURE(factor);
              CAPTURE(dp);
              CAPTURE(cp);
              CAPTURE(tp);
              const TokenGrid grid{8, 13, dp, cp, tp, order};
              check(c, grid, make_local_group("stage", dp * cp * tp, test::kGenerous));
            }
          }
        }
      }
    }
  }

  TEST_CASE("ranks without a token take part, and drop nothing") {
    const Case c(1, 3, 0.5);
    const TokenGrid grid{1, 3, 1, 4, 2, ContextOrder::kZigzag};
    check(c, grid, make_local_group("stage", 8, test::kGenerous));
  }

  TEST_CASE("with room for every assignment none is dropped") {
    const Case c(2, 9, static_cast<double>(kExperts));
    const TokenGrid grid{2, 9, 2, 1, 1, ContextOrder::kZigzag};
    const auto result = drop(c, grid, make_local_group("stage", 2, test::kGenerous));
    CHECK(result.kept == c.experts.values);
    CHECK(result.dropped == std::vector<std::int32_t>{0, 0});
  }

  TEST_CASE("over UCX the same assignments are dropped") {
    const Case c(2, 13, 0.7);
    const TokenGrid grid{2, 13, 1, 2, 2, ContextOrder::kZigzag};
    check(c, grid, test::make_ucx_group("stage", 4, test::kGenerous));
  }

  TEST_CASE("a stage or rows that are not the grid's are refused with the numbers") {
    test::run_ranks(2, [](Communicator& stage, Stream& stream) {
      Arena arena(Device::kCpu);
      Ints experts({8, 2}), kept({8, 2}), dropped({1}), local({1});
      const DropOverCapacity args{.experts = experts,
                                  .kept = kept,
                                  .dropped = dropped,
                                  .dropped_local = local,
                                  .num_experts = kExperts};
      CHECK_THROWS_WITH_AS(drop_over_capacity({stream, arena}, stage, {.length = 8}, args),
                           "drop_over_capacity: a stage of 2 ranks for a grid of 1 x 1 x 1",
                           std::invalid_argument);
      const auto message =
          "drop_over_capacity: expected 5 rows on rank " + std::to_string(stage.rank()) + ", got 8";
      CHECK_THROWS_WITH_AS(
          drop_over_capacity({stream, arena}, stage, {.length = 10, .cp = 2}, args),
          message.c_str(), std::invalid_argument);
    });
  }
}

}  // namespace fulgur
