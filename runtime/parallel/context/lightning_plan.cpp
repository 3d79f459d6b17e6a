#include <utility>

#include "runtime/parallel/context/chunk_documents.hpp"
#include "runtime/parallel/context/lightning_context.hpp"

namespace fulgur {
namespace {

using Numbers = std::vector<std::int32_t>;

std::int32_t narrow(std::int64_t value) {
  return static_cast<std::int32_t>(value);
}

// Makes the tables of one rank. The slot of a chunk is which * sequences + sequence, so that the
// states of a link lie together.
class Planner {
 public:
  Planner(const TokenGrid& grid, int dp, int cp, Documents documents)
      : grid_(grid), dp_(dp), cp_(cp), documents_(documents), mine_(grid, dp, cp) {}

  std::int64_t slots() const {
    return grid_.cp == 1 ? 0 : mine_.sequences() * mine_.per_sequence();
  }

  void add_segments(Numbers& starts, Numbers& in_slot, Numbers& out_slot) const {
    for (std::int64_t s = 0; s < mine_.sequences(); ++s)
      for (std::int64_t w = 0; w < mine_.per_sequence(); ++w) {
        const auto& chunk = mine_.at(s, w);
        for (const auto& piece : pieces(starts_of(s), chunk)) {
          const bool enters = !has_start(starts_of(s), piece.begin, piece.begin);
          const bool leaves = !has_start(starts_of(s), piece.end, piece.end);
          starts.push_back(narrow(chunk.row + piece.end - chunk.begin));
          in_slot.push_back(enters ? narrow(slot(s, w)) : -1);
          out_slot.push_back(leaves ? narrow(slot(s, w)) : -1);
        }
      }
  }

  void fill_distances(Numbers& from_left, Numbers& from_right) const {
    const auto columns = grid_.cp * slots();
    from_left.assign(static_cast<std::size_t>(slots() * columns), -1);
    from_right = from_left;
    for (int rank = 0; rank < grid_.cp; ++rank) {
      const RankChunks others(grid_, dp_, rank);
      for (std::int64_t s = 0; s < mine_.sequences(); ++s)
        for (std::int64_t w = 0; w < mine_.per_sequence(); ++w)
          for (std::int64_t u = 0; u < mine_.per_sequence(); ++u) {
            const auto &here = mine_.at(s, w), &there = others.at(s, u);
            const auto at =
                static_cast<std::size_t>(slot(s, w) * columns + rank * slots() + slot(s, u));
            from_left[at] = narrow(distance(starts_of(s), there, here));
            from_right[at] = narrow(distance(starts_of(s), here, there));
          }
    }
  }

  // An empty chunk hands on what it gets, unless a document starts where it lies.
  Numbers through() const {
    const auto L = mine_.sequences();
    Numbers table(static_cast<std::size_t>(mine_.per_sequence() * L * L), -1);
    for (std::int64_t w = 0; w < mine_.per_sequence(); ++w)
      for (std::int64_t s = 0; s < L; ++s) {
        const auto& chunk = mine_.at(s, w);
        const auto last = chunk.count() == 0 ? chunk.begin : chunk.end - 1;
        if (!has_start(starts_of(s), chunk.begin, last))
          table[static_cast<std::size_t>((w * L + s) * L + s)] = narrow(chunk.count());
      }
    return table;
  }

  std::vector<ChunkLink> links() const {
    const int last = grid_.cp - 1;
    const int right = cp_ < last ? cp_ + 1 : -1;
    if (mine_.per_sequence() == 1) return {{.first_slot = 0, .before = cp_ - 1, .behind = right}};
    const int turn = cp_ < last ? cp_ + 1 : cp_;  // the last rank has two neighbouring chunks
    return {{.first_slot = 0, .before = cp_ - 1, .behind = turn},
            {.first_slot = mine_.sequences(), .before = turn, .behind = cp_ - 1}};
  }

  std::int64_t sequences() const { return mine_.sequences(); }

 private:
  std::int64_t slot(std::int64_t sequence, std::int64_t which) const {
    return slots() == 0 ? -1 : which * mine_.sequences() + sequence;
  }
  const Numbers& starts_of(std::int64_t sequence) const {
    return documents_[static_cast<std::size_t>(sequence)];
  }

  TokenGrid grid_;
  int dp_, cp_;
  Documents documents_;
  RankChunks mine_;
};

}  // namespace

LightningPlan make_lightning_plan(const Context& ctx, const TokenGrid& grid, int dp, int cp,
                                  std::span<const std::vector<std::int32_t>> documents) {
  expect_documents(grid, documents);
  const Planner planner(grid, dp, cp, documents);
  const auto table = [&](Numbers values, const Shape& dims) {
    return upload_table(ctx, std::move(values), dims);
  };
  Numbers starts{0}, in_slot, out_slot;
  planner.add_segments(starts, in_slot, out_slot);
  const auto rows = table_rows(in_slot.size(), ctx.stream.device());
  starts.resize(rows + 1, starts.back());
  in_slot.resize(rows, -1);
  out_slot.resize(rows, -1);
  const auto S = static_cast<std::int64_t>(rows);
  LightningPlan plan;
  plan.slots = planner.slots();
  plan.no_slot = table(Numbers(rows, -1), {S});
  plan.segments = {.starts = table(std::move(starts), {S + 1}),
                   .in_slot = table(std::move(in_slot), {S}),
                   .out_slot = table(std::move(out_slot), {S})};
  if (plan.slots == 0) return plan;

  Numbers from_left, from_right;
  planner.fill_distances(from_left, from_right);
  plan.from_left = table(std::move(from_left), {plan.slots, grid.cp * plan.slots});
  plan.from_right = table(std::move(from_right), {plan.slots, grid.cp * plan.slots});
  plan.links = planner.links();
  plan.through = table(planner.through(), {static_cast<std::int64_t>(plan.links.size()),
                                           planner.sequences(), planner.sequences()});
  return plan;
}

}  // namespace fulgur
