#include "runtime/model/batch.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/transfer.hpp"

namespace fulgur {
namespace {

using Ints = std::vector<std::int32_t>;

Tensor uploaded(const Context& ctx, Ints values) {
  const auto tensor = ctx.arena.allocate({static_cast<std::int64_t>(values.size())}, DType::kInt32);
  upload(std::move(values), tensor, ctx.stream);
  return tensor;
}

// Appends the positions of tokens [begin, end) of a sequence in their documents.
void append_positions(const Ints& starts, std::int64_t begin, std::int64_t end, Ints& positions) {
  auto next = std::upper_bound(starts.begin(), starts.end(), begin);
  for (auto token = begin; token < end; ++token) {
    if (next != starts.end() && *next == token) ++next;
    positions.push_back(static_cast<std::int32_t>(token) - *std::prev(next));
  }
}

}  // namespace

TokenGrid token_grid(const Layout& layout, ContextOrder order, std::int64_t sequences,
                     std::int64_t length) {
  return {.sequences = sequences,
          .length = length,
          .dp = layout.dp,
          .cp = layout.cp,
          .tp = layout.tp,
          .order = order};
}

Batch make_batch(const Context& ctx, const Mesh& mesh, const TokenGrid& grid,
                 std::span<const Sample> samples) {
  const int dp = mesh.dense().dp, cp = mesh.dense().cp;
  const auto first_sequence = dp * (grid.sequences / grid.dp);
  Ints ids, labels, positions;
  for (const auto& chunk : chunks(grid, dp, cp)) {
    const auto& sample = samples[static_cast<std::size_t>(chunk.sequence - first_sequence)];
    const auto append = [&](const Ints& from, Ints& to) {
      to.insert(to.end(), from.begin() + chunk.begin, from.begin() + chunk.end);
    };
    append(sample.ids, ids);
    append(sample.labels, labels);
    append_positions(sample.starts, chunk.begin, chunk.end, positions);
  }
  std::vector<Ints> documents;
  for (const auto& sample : samples)
    documents.push_back(sample.starts);
  const auto tokens = static_cast<std::int64_t>(ids.size());
  auto cuts = row_cuts(tokens, grid.tp);
  const auto tp = static_cast<std::size_t>(mesh.dense().tp);
  return {.grid = grid,
          .tokens = tokens,
          .cuts = cuts,
          .first_row = cuts[tp],
          .rows = cuts[tp + 1] - cuts[tp],
          .ids = uploaded(ctx, std::move(ids)),
          .labels = uploaded(ctx, std::move(labels)),
          .positions = uploaded(ctx, std::move(positions)),
          .lightning = make_lightning_plan(ctx, grid, dp, cp, documents),
          .ring = make_ring_plan(ctx, grid, dp, cp, documents)};
}

}  // namespace fulgur
