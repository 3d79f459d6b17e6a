#include <algorithm>
#include <utility>

#include "runtime/parallel/context/chunk_documents.hpp"
#include "runtime/parallel/context/ring_attention.hpp"

namespace fulgur {
namespace {

// Queries and keys by row of their ranks, as in kernels/softmax_attention.hpp.
struct Span {
  std::int64_t q_begin = 0, q_end = 0, k_begin = 0, k_end = 0, shift = 0;
};
using Spans = std::vector<Span>;

// Each chunk of a rank with itself.
Spans diagonal_spans(const RankChunks& mine, Documents documents) {
  Spans spans;
  for (std::int64_t s = 0; s < mine.sequences(); ++s)
    for (std::int64_t w = 0; w < mine.per_sequence(); ++w) {
      const auto& chunk = mine.at(s, w);
      for (const auto& piece : pieces(documents[static_cast<std::size_t>(s)], chunk)) {
        const auto begin = chunk.row + piece.begin - chunk.begin,
                   end = begin + piece.end - piece.begin;
        spans.push_back({begin, end, begin, end, 0});
      }
    }
  return spans;
}

// Chunks of `mine` with the one earlier chunk of a sequence that `theirs` has at `which`. One
// document at most spans two chunks: the last of the earlier and the first of the later one.
Spans spans_to(const RankChunks& mine, const RankChunks& theirs, std::int64_t which,
               Documents documents) {
  Spans spans;
  for (std::int64_t s = 0; s < mine.sequences(); ++s)
    for (std::int64_t w = 0; w < mine.per_sequence(); ++w) {
      const auto& starts = documents[static_cast<std::size_t>(s)];
      const auto &queries = mine.at(s, w), &keys = theirs.at(s, which);
      if (distance(starts, keys, queries) < 0) continue;
      const auto num_queries = pieces(starts, queries).front().end - queries.begin;
      const auto num_keys = keys.end - pieces(starts, keys).back().begin;
      const auto k_end = keys.row + keys.count();
      spans.push_back({queries.row, queries.row + num_queries, k_end - num_keys, k_end, num_keys});
    }
  return spans;
}

struct Call {
  int hop;
  std::int64_t q_begin, q_count;
  Spans spans;  // queries counted from q_begin
};

void add_call(std::vector<Call>& calls, int hop, Spans spans) {
  if (spans.empty()) return;
  auto q_begin = spans.front().q_begin, q_end = spans.front().q_end;
  for (const auto& span : spans) {
    q_begin = std::min(q_begin, span.q_begin);
    q_end = std::max(q_end, span.q_end);
  }
  for (auto& span : spans) {
    span.q_begin -= q_begin;
    span.q_end -= q_begin;
  }
  calls.push_back({hop, q_begin, q_end - q_begin, std::move(spans)});
}

// No query may have two spans in a call, so each call is for one chunk of keys in a sequence.
std::vector<Call> calls_of(const TokenGrid& grid, int dp, int cp, Documents documents) {
  const RankChunks mine(grid, dp, cp);
  std::vector<Call> calls{{0, 0, row_count(grid, cp), diagonal_spans(mine, documents)}};
  for (int hop = 0; hop < grid.cp; ++hop) {
    const RankChunks theirs(grid, dp, (cp - hop + grid.cp) % grid.cp);
    for (std::int64_t which = 0; which < theirs.per_sequence(); ++which)
      add_call(calls, hop, spans_to(mine, theirs, which, documents));
  }
  return calls;
}

// The last hop at which any rank has keys to attend to.
int last_hop(const TokenGrid& grid, int dp, Documents documents) {
  for (int hop = grid.cp - 1; hop > 0; --hop)
    for (int rank = 0; rank < grid.cp; ++rank) {
      const RankChunks mine(grid, dp, rank), theirs(grid, dp, (rank - hop + grid.cp) % grid.cp);
      for (std::int64_t which = 0; which < theirs.per_sequence(); ++which)
        if (!spans_to(mine, theirs, which, documents).empty()) return hop;
    }
  return 0;
}

}  // namespace

RingPlan make_ring_plan(const Context& ctx, const TokenGrid& grid, int dp, int cp,
                        std::span<const std::vector<std::int32_t>> documents) {
  expect_documents(grid, documents);
  RingPlan plan;
  for (int rank = 0; rank < grid.cp; ++rank)
    plan.rows.push_back(row_count(grid, rank));
  plan.hops = last_hop(grid, dp, documents);
  auto calls = calls_of(grid, dp, cp, documents);
  std::vector<std::int32_t> numbers;
  for (auto& call : calls) {
    call.spans.resize(table_rows(call.spans.size(), ctx.stream.device()));
    for (const auto& span : call.spans)
      for (const auto number : {span.q_begin, span.q_end, span.k_begin, span.k_end, span.shift})
        numbers.push_back(static_cast<std::int32_t>(number));
  }
  const auto count = static_cast<std::int64_t>(numbers.size()) / 5;
  const auto table = upload_table(ctx, std::move(numbers), {count, 5});
  std::int64_t first = 0;
  for (const auto& call : calls) {
    const auto P = static_cast<std::int64_t>(call.spans.size());
    plan.calls.push_back({call.hop, call.q_begin, call.q_count, table.slice(0, first, P)});
    first += P;
  }
  return plan;
}

}  // namespace fulgur
