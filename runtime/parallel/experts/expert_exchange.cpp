#include "runtime/parallel/experts/expert_exchange.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/activation.hpp"
#include "kernels/checks.hpp"
#include "kernels/grouped_matmul.hpp"
#include "kernels/token_permutation.hpp"
#include "kernels/transfer.hpp"
#include "recipes/token_runs.hpp"

namespace fulgur {
namespace {

ExpertWeights checked(const ExpertWeights& weights, DType dtype, const char* w13, const char* w2) {
  expect_dense(weights.w2, {kAny, kAny, kAny}, dtype, w2);
  const auto& dims = weights.w2.dims;
  expect_dense(weights.w13, {dims[0], 2, dims[2], dims[1]}, dtype, w13);
  return {.w13 = weights.w13.view({dims[0], 2 * dims[2], dims[1]}), .w2 = weights.w2};
}

void append(const std::vector<std::int32_t>& values, std::vector<std::int32_t>& to) {
  to.insert(to.end(), values.begin(), values.end());
}

}  // namespace

ExpertExchange::ExpertExchange(const ExpertGroups& groups, const ExpertWeights& weights,
                               const ExpertWeights& gradients, Recompute recompute)
    : groups_(groups),
      weights_(checked(weights, weights.w2.dtype, "experts: w13", "experts: w2")),
      gradients_(checked(gradients, DType::kFloat32, "experts: dw13", "experts: dw2")),
      recompute_(recompute) {
  expect_floats(gradients.w13, weights.w13.dims, "experts: dw13");
  if (groups.token_groups < 1) {
    throw std::invalid_argument("experts: expected at least 1 token group, got " +
                                std::to_string(groups.token_groups));
  }
}

void ExpertExchange::forward(const Context& ctx, const Forward& args, Saved& saved) const {
  const auto T = args.x.dims[0], k = args.experts.dims[1];
  expect_dense(args.x, {kAny, width()}, dtype(), "experts: x");
  expect_ints(args.experts, {T, kAny}, "experts: experts");
  expect_floats(args.weights, args.experts.dims, "experts: weights");
  expect_dense(args.out, args.x.dims, dtype(), "experts: out");
  const auto num_groups = groups_.are_apart() ? groups_.token_groups : 1;
  saved = {.k = k, .cuts = row_cuts(T, static_cast<int>(num_groups))};
  saved.groups.resize(static_cast<std::size_t>(num_groups));

  const auto offsets = ctx.arena.allocate({num_groups, num_experts() + 1}, DType::kInt32);
  sort(ctx, args.experts, offsets, saved);
  if (groups_.are_apart()) {
    plan(ctx, offsets, saved);
    upload_tables(ctx, saved);
    forward_apart(ctx, args, saved);
  } else {
    saved.tables = {{.offsets = offsets.select(0, 0)}};
    forward_here(ctx, args, saved);
  }
}

// Every group by itself: the rows of a group lie side by side, and its slots count from its first
// token.
void ExpertExchange::sort(const Context& ctx, const Tensor& experts, const Tensor& offsets,
                          Saved& saved) const {
  const auto M = experts.count();
  const auto rows = ctx.arena.allocate(experts.dims, DType::kInt32);
  const auto slots = ctx.arena.allocate({M}, DType::kInt32);
  const auto output = ctx.arena.allocate({M, width()}, dtype());
  for (std::size_t g = 0; g < saved.groups.size(); ++g) {
    auto& group = saved.groups[g];
    group.rows = saved.tokens_of(g, rows);
    group.slots = slots.slice(0, saved.cuts[g] * saved.k, group.rows.count());
    group.output = output.slice(0, saved.cuts[g] * saved.k, group.rows.count());
    sort_by_expert({.experts = saved.tokens_of(g, experts),
                    .rows = group.rows,
                    .slots = group.slots,
                    .offsets = offsets.select(0, static_cast<std::int64_t>(g))},
                   ctx.stream);
  }
}

// All ranks of the block learn all offsets. The host must know the numbers of rows, because they
// are the sizes of messages and tensors: this is the one wait.
void ExpertExchange::plan(const Context& ctx, const Tensor& offsets, Saved& saved) const {
  const Arena::Scope scope(ctx.arena);
  const std::int64_t ep = groups_.ep.size(), etp = groups_.etp.size();
  const auto of_etp = ctx.arena.allocate({etp, offsets.count()}, DType::kInt32);
  const auto of_block = ctx.arena.allocate({ep, of_etp.count()}, DType::kInt32);
  groups_.etp.all_gather(offsets, of_etp, ctx.stream, "rows of experts");
  groups_.ep.all_gather(of_etp, of_block, ctx.stream, "rows of experts");
  saved.plans = plan_exchange({.ep = ep,
                               .etp = etp,
                               .ep_rank = groups_.ep.rank(),
                               .etp_rank = groups_.etp.rank(),
                               .token_groups = offsets.dims[0],
                               .experts = num_experts()},
                              download<std::int32_t>(of_block, ctx.stream));
}

// The tables of all groups go up in one piece.
void ExpertExchange::upload_tables(const Context& ctx, Saved& saved) const {
  std::vector<std::int32_t> values;
  for (const auto& plan : saved.plans) {
    append(plan.offsets, values);
    append(plan.sources, values);
    append(plan.arrivals, values);
  }
  const auto all = ctx.arena.allocate({static_cast<std::int64_t>(values.size())}, DType::kInt32);
  upload(std::move(values), all, ctx.stream);
  std::int64_t begin = 0;
  const auto next = [&](std::int64_t count) {
    begin += count;
    return all.slice(0, begin - count, count);
  };
  for (const auto& plan : saved.plans) {
    const auto offsets = next(static_cast<std::int64_t>(plan.offsets.size()));
    const auto sources = next(plan.num_rows());
    saved.tables.push_back({offsets, sources, next(plan.num_rows())});
  }
}

std::int64_t ExpertExchange::Saved::most_worked_rows() const {
  std::int64_t most = 0;
  for (const auto& plan : plans)
    most = std::max(most, plan.num_rows());
  return most;
}

RowExchange::Most ExpertExchange::most_rows(const Saved& saved) const {
  std::int64_t most = 0;
  for (const auto& group : saved.groups)
    most = std::max(most, group.slots.count());
  return {.rows = most, .width = width(), .dtype = dtype()};
}

void ExpertExchange::keep_rows(const Context& ctx, std::int64_t rows, Group& group) const {
  group.input = ctx.arena.allocate({rows, width()}, dtype());
  group.inner = ctx.arena.allocate({rows, 2, inner()}, dtype());
  if (recompute_ != Recompute::kSelective)
    group.activated = ctx.arena.allocate({rows, inner()}, dtype());
}

void ExpertExchange::work(const Context& ctx, const Group& group, const Tensor& offsets,
                          const Tensor& output) const {
  const Arena::Scope scope(ctx.arena);
  const auto rows = group.input.dims[0];
  const auto activated = group.activated.data != nullptr
                             ? group.activated
                             : ctx.arena.allocate({rows, inner()}, dtype());
  grouped_matmul(
      {.x = group.input, .w = weights_.w13, .offsets = offsets, .y = rows_of(group.inner)},
      ctx.stream);
  swiglu_forward({.x = group.inner, .y = activated}, ctx.stream);
  grouped_matmul({.x = activated, .w = weights_.w2, .offsets = offsets, .y = output}, ctx.stream);
}

void ExpertExchange::forward_here(const Context& ctx, const Forward& args, Saved& saved) const {
  auto& group = saved.groups.front();
  keep_rows(ctx, group.slots.count(), group);
  permute_forward({.x = args.x, .slots = group.slots, .y = group.input, .k = saved.k}, ctx.stream);
  work(ctx, group, saved.tables.front().offsets, group.output);
  combine(ctx, args, saved, 0);
}

// One step late: group g is on its way while g - 1 is worked on, and g - 2 returns.
void ExpertExchange::forward_apart(const Context& ctx, const Forward& args, Saved& saved) const {
  for (std::size_t g = 0; g < saved.groups.size(); ++g)
    keep_rows(ctx, saved.plans[g].num_rows(), saved.groups[g]);
  const Arena::Scope scope(ctx.arena);
  RowExchange exchange(ctx, groups_, saved.plans, saved.tables, most_rows(saved));
  const auto results = ctx.arena.allocate({saved.most_worked_rows(), width()}, dtype());
  for (std::size_t step = 0; step <= saved.groups.size(); ++step) {
    if (step < saved.groups.size()) {
      const auto& slots = saved.groups[step].slots;
      permute_forward({.x = saved.tokens_of(step, args.x),
                       .slots = slots,
                       .y = exchange.outgoing(step, slots.count()),
                       .k = saved.k},
                      ctx.stream);
      exchange.send(step);
    }
    if (step > 0) {
      const auto g = step - 1;
      const auto& group = saved.groups[g];
      const auto result = results.slice(0, 0, saved.plans[g].num_rows());
      exchange.receive(g, group.input);
      work(ctx, group, saved.tables[g].offsets, result);
      exchange.give_back(g, result, group.output.slice(0, 0, saved.plans[g].num_sent()));
    }
  }
  for (std::size_t g = 0; g < saved.groups.size(); ++g) {
    exchange.finish(g);
    combine(ctx, args, saved, g);
  }
}

void ExpertExchange::combine(const Context& ctx, const Forward& args, const Saved& saved,
                             std::size_t g) const {
  combine_forward({.y = saved.groups[g].output,
                   .rows = saved.groups[g].rows,
                   .weights = saved.tokens_of(g, args.weights),
                   .out = saved.tokens_of(g, args.out)},
                  ctx.stream);
}

}  // namespace fulgur
