#include "runtime/parallel/experts/global_router.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "kernels/checks.hpp"
#include "kernels/token_drop.hpp"
#include "kernels/token_permutation.hpp"
#include "kernels/transfer.hpp"

namespace fulgur {
namespace {

using Ints = std::vector<std::int32_t>;

// Where the runs of this rank lie, and how they stand among those of all ranks
// (kernels/token_drop.hpp).
struct RunTables {
  Ints starts, places, order;
};

std::vector<TokenRun> runs_of_rank(const TokenGrid& grid, int rank) {
  return token_runs(grid, rank / (grid.cp * grid.tp), rank / grid.tp % grid.cp, rank % grid.tp);
}

RunTables make_tables(const TokenGrid& grid, int rank) {
  const int ranks = grid.dp * grid.cp * grid.tp;
  std::vector<std::tuple<std::int64_t, std::int64_t, std::int32_t>> all;  // sequence, begin, run
  for (int r = 0; r < ranks; ++r) {
    for (const auto& run : runs_of_rank(grid, r))
      all.emplace_back(run.sequence, run.begin, static_cast<std::int32_t>(all.size()));
  }
  std::sort(all.begin(), all.end());

  RunTables tables{.starts = {0}, .places = {}, .order = {}};
  const auto own = runs_of_rank(grid, rank);
  for (const auto& run : own)
    tables.starts.push_back(tables.starts.back() + static_cast<std::int32_t>(run.count()));
  const auto n = static_cast<std::int32_t>(own.size());
  tables.places.resize(own.size());
  for (const auto& [sequence, begin, run] : all) {
    if (run / n == rank)
      tables.places[static_cast<std::size_t>(run % n)] =
          static_cast<std::int32_t>(tables.order.size());
    tables.order.push_back(run);
  }
  return tables;
}

Tensor uploaded(const Context& ctx, Ints values) {
  const auto tensor = ctx.arena.allocate({static_cast<std::int64_t>(values.size())}, DType::kInt32);
  upload(std::move(values), tensor, ctx.stream);
  return tensor;
}

void check(const Communicator& stage, const TokenGrid& grid, const RunTables& tables,
           const Tensor& experts) {
  const auto refuse = [](const std::string& problem) {
    throw std::invalid_argument("drop_over_capacity: " + problem);
  };
  if (stage.size() != grid.dp * grid.cp * grid.tp) {
    refuse("a stage of " + std::to_string(stage.size()) + " ranks for a grid of " +
           std::to_string(grid.dp) + " x " + std::to_string(grid.cp) + " x " +
           std::to_string(grid.tp));
  }
  if (experts.dims[0] != tables.starts.back()) {
    refuse("expected " + std::to_string(tables.starts.back()) + " rows on rank " +
           std::to_string(stage.rank()) + ", got " + std::to_string(experts.dims[0]));
  }
}

}  // namespace

std::int64_t expert_capacity(double capacity_factor, std::int64_t k, std::int64_t tokens,
                             std::int64_t experts) {
  const auto even = static_cast<double>(k * tokens) / static_cast<double>(experts);
  return static_cast<std::int64_t>(std::ceil(capacity_factor * even));
}

void drop_over_capacity(const Context& ctx, Communicator& stage, const TokenGrid& grid,
                        const DropOverCapacity& args) {
  expect_ints(args.experts, {kAny, kAny}, "drop_over_capacity: experts");
  auto tables = make_tables(grid, stage.rank());
  check(stage, grid, tables, args.experts);
  const Arena::Scope scope(ctx.arena);
  const auto T = args.experts.dims[0], k = args.experts.dims[1], E = args.num_experts;
  const auto n = static_cast<std::int64_t>(tables.places.size());
  const auto starts = uploaded(ctx, std::move(tables.starts));
  const auto places = uploaded(ctx, std::move(tables.places));
  const auto order = uploaded(ctx, std::move(tables.order));

  const auto keys = ctx.arena.allocate({T, k}, DType::kInt32);
  const auto rows = ctx.arena.allocate({T, k}, DType::kInt32);
  const auto slots = ctx.arena.allocate({T * k}, DType::kInt32);
  const auto offsets = ctx.arena.allocate({n * E + 1}, DType::kInt32);
  key_runs({.experts = args.experts, .starts = starts, .keys = keys, .num_experts = E}, ctx.stream);
  sort_by_expert({.experts = keys, .rows = rows, .slots = slots, .offsets = offsets}, ctx.stream);

  const auto all_offsets = ctx.arena.allocate({stage.size(), offsets.count()}, DType::kInt32);
  const auto before = ctx.arena.allocate({n, E}, DType::kInt32);
  stage.all_gather(offsets, all_offsets, ctx.stream, "assignments of runs");
  count_before({.all_offsets = all_offsets, .order = order, .places = places, .before = before},
               ctx.stream);
  drop_ranked(
      {.experts = args.experts,
       .starts = starts,
       .rows = rows,
       .offsets = offsets,
       .before = before,
       .kept = args.kept,
       .dropped = args.dropped,
       .dropped_alone = args.dropped_local,
       .capacity = expert_capacity(args.capacity_factor, k, grid.sequences * grid.length, E),
       .capacity_alone = expert_capacity(args.capacity_factor, k, T, E)},
      ctx.stream);
}

}  // namespace fulgur
