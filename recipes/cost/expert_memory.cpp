#include <algorithm>

#include "recipes/cost/layer_memory.hpp"

namespace fulgur {
namespace {

constexpr int kFloat = 4, kInt = 4;

// Of one token group of a rank.
struct Rows {
  std::int64_t sent, received, worked;
};
Rows rows_of_group(const RankShape& s, double imbalance) {
  return {s.sent_rows(), s.received_rows(imbalance), s.worked_rows(imbalance)};
}

void trace_row_exchange(const RankShape& s, const Rows& rows, ArenaTrace& work) {
  for (std::int64_t set = 0; set < std::min<std::int64_t>(2, s.token_groups); ++set) {
    work.allocate(rows.sent * s.hidden, s.activation_bytes);
    if (s.layout.ep > 1) work.allocate(rows.received * s.hidden, s.activation_bytes);
    if (s.layout.etp > 1) work.allocate(rows.worked * s.hidden, s.activation_bytes);
  }
}

// The global router: keys, rows and slots of the assignments, and the counts of all runs of the stage.
void trace_capacity(const RankShape& s, ArenaTrace& work) {
  const auto assignments = s.rows * s.experts_per_token;
  work.allocate(assignments, kInt);
  const ArenaTrace::Scope scope(work);
  const auto runs = std::max<std::int64_t>(s.state_slots, s.sequences);
  const auto stage = std::int64_t{s.layout.dp} * s.layout.cp * s.layout.tp;
  for (int i = 0; i < 3; ++i)
    work.allocate(assignments, kInt);
  work.allocate(runs * s.experts + 1, kInt);
  work.allocate(stage * (runs * s.experts + 1), kInt);
  work.allocate(runs * s.experts, kInt);
}

void trace_router(const RankShape& s, ArenaTrace& work) {
  work.allocate(s.rows * s.experts, kFloat);
  work.allocate(s.rows * s.experts_per_token, kFloat);
  work.allocate(s.rows * s.experts_per_token, kInt);
  const ArenaTrace::Scope scope(work);
  work.allocate(s.rows * s.experts, kFloat);
  if (s.activation_bytes == 2) work.allocate(s.rows * s.hidden, kFloat);
}

void trace_kept_rows(const RankShape& s, const Rows& rows, ArenaTrace& work) {
  work.allocate(rows.worked * s.hidden, s.activation_bytes);
  work.allocate(rows.worked * 2 * s.inner, s.activation_bytes);
  if (s.recompute != Recompute::kSelective)
    work.allocate(rows.worked * s.inner, s.activation_bytes);
}

void trace_activated(const RankShape& s, const Rows& rows, ArenaTrace& work) {
  const ArenaTrace::Scope scope(work);
  if (s.recompute == Recompute::kSelective)
    work.allocate(rows.worked * s.inner, s.activation_bytes);
}

}  // namespace

void trace_experts_forward(const RankShape& s, double imbalance, ArenaTrace& work) {
  const auto rows = rows_of_group(s, imbalance);
  const auto assignments = s.rows * s.experts_per_token;
  const auto offsets = s.token_groups * (s.experts + 1);
  trace_router(s, work);
  if (s.has_capacity) trace_capacity(s, work);
  work.allocate(offsets, kInt);
  for (int i = 0; i < 2; ++i)
    work.allocate(assignments, kInt);
  work.allocate(assignments * s.hidden, s.activation_bytes);
  if (!s.experts_apart()) {
    trace_kept_rows(s, rows, work);
    trace_activated(s, rows, work);
    return;
  }
  {
    const ArenaTrace::Scope scope(work);
    work.allocate(s.layout.etp * offsets, kInt);
    work.allocate(std::int64_t{s.layout.ep} * s.layout.etp * offsets, kInt);
  }
  work.allocate(s.token_groups * (s.local_experts + 1 + 2 * rows.worked), kInt);
  for (std::int64_t group = 0; group < s.token_groups; ++group)
    trace_kept_rows(s, rows, work);
  const ArenaTrace::Scope scope(work);
  trace_row_exchange(s, rows, work);
  work.allocate(rows.worked * s.hidden, s.activation_bytes);
  trace_activated(s, rows, work);
}

void trace_experts_backward(const RankShape& s, double imbalance, const ArenaTraces& arenas) {
  const auto rows = rows_of_group(s, imbalance);
  auto& work = arenas.work;
  const ArenaTrace::Scope scope(work);
  work.allocate(s.rows * s.experts_per_token, kFloat);
  arenas.operands.allocate(s.rows * s.experts, kFloat);
  for (std::int64_t group = 0; group < s.token_groups; ++group) {
    arenas.operands.allocate(rows.worked * s.hidden, s.activation_bytes);
    arenas.operands.allocate(rows.worked * 2 * s.inner, s.activation_bytes);
    if (s.recompute == Recompute::kSelective)
      arenas.operands.allocate(rows.worked * s.inner, s.activation_bytes);
  }
  {
    const ArenaTrace::Scope exchange(work);
    if (s.experts_apart()) trace_row_exchange(s, rows, work);
    work.allocate(rows.worked * s.hidden, s.activation_bytes);
    if (s.experts_apart())
      work.allocate(s.rows * s.experts_per_token * s.hidden, s.activation_bytes);
    work.allocate(rows.worked * s.inner, s.activation_bytes);
  }
  if (s.activation_bytes == 4) return;
  arenas.operands.allocate(s.rows * s.hidden, kFloat);
  work.allocate(s.rows * s.hidden, kFloat);
}

}  // namespace fulgur
