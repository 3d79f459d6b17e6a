#include "recipes/token_runs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace fulgur {
namespace {

std::vector<TokenGrid> grids() {
  std::vector<TokenGrid> all;
  for (const auto order : {ContextOrder::kZigzag, ContextOrder::kContiguous}) {
    for (const int cp : {1, 2, 3, 4}) {
      for (const int tp : {1, 2, 3}) {
        for (const std::int64_t length : {1, 5, 37, 64})
          all.push_back(
              {.sequences = 4, .length = length, .dp = 2, .cp = cp, .tp = tp, .order = order});
      }
    }
  }
  return all;
}

TEST_SUITE("recipes/token_runs") {
  TEST_CASE("every token of the micro-batch lies on one rank, and rows have no gaps") {
    for (const auto& grid : grids()) {
      CAPTURE(grid.length);
      CAPTURE(grid.cp);
      CAPTURE(grid.tp);
      std::vector<int> seen(static_cast<std::size_t>(grid.sequences * grid.length));
      for (int dp = 0; dp < grid.dp; ++dp) {
        for (int cp = 0; cp < grid.cp; ++cp) {
          const auto cuts = row_cuts(row_count(grid, cp), grid.tp);
          for (int tp = 0; tp < grid.tp; ++tp) {
            std::int64_t row = 0;
            for (const auto& run : token_runs(grid, dp, cp, tp)) {
              if (run.count() > 0) CHECK(run.row == row);
              row += run.count();
              for (auto t = run.begin; t < run.end; ++t)
                ++seen[static_cast<std::size_t>(run.sequence * grid.length + t)];
            }
            const auto i = static_cast<std::size_t>(tp);
            CHECK(row == cuts[i + 1] - cuts[i]);
          }
        }
      }
      CHECK(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
    }
  }

  TEST_CASE("zigzag gives a rank one chunk from each end of every sequence") {
    const TokenGrid grid{.sequences = 2, .length = 16, .dp = 1, .cp = 2};
    const std::vector<Chunk> expected = {
        {{0, 4, 8, 0}, 1}, {{0, 8, 12, 4}, 2}, {{1, 4, 8, 8}, 1}, {{1, 8, 12, 12}, 2}};
    CHECK(chunks(grid, 0, 1) == expected);
    CHECK(chunks_per_sequence(grid) == 4);
  }

  TEST_CASE("a dp rank has its own sequences, and every rank as many runs") {
    const TokenGrid grid{.sequences = 6, .length = 7, .dp = 3, .cp = 2, .tp = 3};
    CHECK(chunks(grid, 2, 0).front().sequence == 4);
    for (int tp = 0; tp < 3; ++tp)
      CHECK(token_runs(grid, 1, 1, tp).size() == chunks(grid, 1, 1).size());
  }

  TEST_CASE("without a cut of sequences a chunk is a whole sequence under contiguous order") {
    const TokenGrid grid{.sequences = 2, .length = 5, .order = ContextOrder::kContiguous};
    const std::vector<Chunk> expected = {{{0, 0, 5, 0}, 0}, {{1, 0, 5, 5}, 0}};
    CHECK(chunks(grid, 0, 0) == expected);
  }
}

}  // namespace
}  // namespace fulgur
