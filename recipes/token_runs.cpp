#include "recipes/token_runs.hpp"

#include <algorithm>

namespace fulgur {
namespace {

std::int64_t cut(std::int64_t whole, std::int64_t index, std::int64_t parts) {
  return whole * index / parts;
}

// The indices of a rank's chunks in a sequence, from its front to its end.
std::vector<std::int64_t> chunk_indices(const TokenGrid& grid, int cp) {
  if (grid.order == ContextOrder::kContiguous) return {cp};
  return {cp, chunks_per_sequence(grid) - 1 - cp};
}

}  // namespace

std::int64_t chunks_per_sequence(const TokenGrid& grid) {
  return grid.order == ContextOrder::kZigzag ? 2 * grid.cp : grid.cp;
}

std::vector<Chunk> chunks(const TokenGrid& grid, int dp, int cp) {
  const auto local = grid.sequences / grid.dp, n = chunks_per_sequence(grid);
  std::vector<Chunk> result;
  std::int64_t row = 0;
  for (auto sequence = dp * local; sequence < (dp + 1) * local; ++sequence) {
    for (const auto index : chunk_indices(grid, cp)) {
      const auto begin = cut(grid.length, index, n), end = cut(grid.length, index + 1, n);
      result.push_back({{sequence, begin, end, row}, index});
      row += end - begin;
    }
  }
  return result;
}

std::int64_t row_count(const TokenGrid& grid, int cp) {
  const auto last = chunks(grid, 0, cp).back();
  return last.row + last.count();
}

std::vector<std::int64_t> row_cuts(std::int64_t rows, int ranks) {
  std::vector<std::int64_t> cuts;
  for (int rank = 0; rank <= ranks; ++rank)
    cuts.push_back(cut(rows, rank, ranks));
  return cuts;
}

std::vector<TokenRun> token_runs(const TokenGrid& grid, int dp, int cp, int tp) {
  const auto cuts = row_cuts(row_count(grid, cp), grid.tp);
  const auto first = cuts[static_cast<std::size_t>(tp)];
  const auto last = cuts[static_cast<std::size_t>(tp) + 1];
  std::vector<TokenRun> runs;
  for (const auto& chunk : chunks(grid, dp, cp)) {
    const auto from = std::clamp(first, chunk.row, chunk.row + chunk.count());
    const auto to = std::clamp(last, from, chunk.row + chunk.count());
    const auto begin = chunk.begin + from - chunk.row;
    runs.push_back(
        {chunk.sequence, begin, begin + to - from, std::max(from - first, std::int64_t{0})});
  }
  return runs;
}

}  // namespace fulgur
