#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/context.hpp"
#include "kernels/transfer.hpp"
#include "recipes/token_runs.hpp"
#include "runtime/parallel/context/context_group.hpp"
#include "tests/support/host_tensor.hpp"
#include "tests/support/run_ranks.hpp"

namespace fulgur::test {

// Sequences on a grid, with the documents of each, from 0 to the sequence's end.
struct ContextCase {
  TokenGrid grid;
  std::vector<std::vector<std::int32_t>> documents;  // [sequences]
  int dp = 0;

  std::int64_t tokens() const { return grid.sequences * grid.length; }

  // The documents of all sequences as one run of tokens.
  std::vector<std::int32_t> all_starts() const {
    std::vector<std::int32_t> starts{0};
    for (std::size_t s = 0; s < documents.size(); ++s)
      for (std::size_t i = 1; i < documents[s].size(); ++i) {
        const auto base = static_cast<std::int64_t>(s) * grid.length;
        starts.push_back(static_cast<std::int32_t>(base + documents[s][i]));
      }
    return starts;
  }

  // The documents of the sequences of a dp rank.
  std::vector<std::vector<std::int32_t>> documents_of(int rank) const {
    const auto local = static_cast<std::ptrdiff_t>(grid.sequences / grid.dp);
    return {documents.begin() + rank * local, documents.begin() + (rank + 1) * local};
  }

  std::string text() const {
    std::string out = "cp " + std::to_string(grid.cp) +
                      (grid.order == ContextOrder::kZigzag ? " zigzag" : " contiguous") + " N " +
                      std::to_string(grid.length) + " starts";
    for (const auto start : all_starts())
      out += " " + std::to_string(start);
    return out;
  }
};

// Documents of 1 to 40 tokens in a sequence of 101.
inline std::vector<std::int32_t> random_starts(unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<std::int32_t> starts{0};
  while (starts.back() < 101) {
    const auto next = starts.back() + std::uniform_int_distribution<std::int32_t>(1, 40)(generator);
    starts.push_back(std::min(next, 101));
  }
  return starts;
}

// Documents that span several ranks, that start and end where chunks do, of single tokens, and
// sequences of fewer tokens than chunks, for `cp` ranks.
inline std::vector<ContextCase> context_cases(int cp) {
  const std::int32_t whole = 24 * cp, half = whole / 2;
  std::vector<std::int32_t> singles{0};
  while (singles.back() < 13)
    singles.push_back(singles.back() + 1);
  const auto chunk = whole / (2 * cp);
  std::vector<std::int32_t> cuts{0, chunk};  // a document for each of the first chunks
  if (cp > 1) cuts.push_back(2 * chunk);
  if (cp > 1) cuts.push_back(whole - chunk);
  cuts.push_back(whole);

  std::vector<ContextCase> cases;
  for (const auto order : {ContextOrder::kZigzag, ContextOrder::kContiguous}) {
    const auto add = [&](std::vector<std::vector<std::int32_t>> documents, int dp) {
      const auto sequences = static_cast<std::int64_t>(documents.size());
      const std::int64_t length = documents.front().back();
      cases.push_back({{sequences, length, dp, cp, 1, order}, std::move(documents), dp - 1});
    };
    add({{0, whole}}, 1);
    add({{0, 1, half - 1, whole}}, 1);
    add({{0, chunk + 1, whole - 1, whole}}, 1);
    add({cuts}, 1);
    add({singles}, 1);
    for (const std::int32_t length : {1, 2, 3, 5, 7, 131})
      add({{0, length}}, 1);
    for (unsigned seed = 1; seed <= 4; ++seed)
      add({random_starts(seed), random_starts(seed + 10)}, 1);
    add({{0, 3, 131}, {0, 131}, {0, 60, 61, 131}}, 1);
    add({{0, 7, 37}, {0, 37}, {0, 36, 37}, {0, 20, 37}}, 2);
  }
  return cases;
}

// Rows of all sequences, [sequences * length, ...], and those of one rank.
inline Floats rows_of_rank(const Floats& all, const TokenGrid& grid, int dp, int cp) {
  const auto width = all.dims().count() / std::max<std::int64_t>(all.dims()[0], 1);
  auto dims = all.dims();
  dims[0] = row_count(grid, cp);
  Floats mine(dims);
  for (const auto& chunk : chunks(grid, dp, cp)) {
    const auto first = (chunk.sequence * grid.length + chunk.begin) * width;
    std::copy_n(all.values.begin() + first, chunk.count() * width,
                mine.values.begin() + chunk.row * width);
  }
  return mine;
}
// Ranks write different rows, so several may do so at once.
inline void put_rows(const std::vector<float>& mine, const TokenGrid& grid, int dp, int cp,
                     Floats& all) {
  const auto width = all.dims().count() / std::max<std::int64_t>(all.dims()[0], 1);
  for (const auto& chunk : chunks(grid, dp, cp)) {
    const auto first = (chunk.sequence * grid.length + chunk.begin) * width;
    std::copy_n(mine.begin() + chunk.row * width, chunk.count() * width,
                all.values.begin() + first);
  }
}

// A tensor on the context's device, in its arena, with these elements.
inline Tensor on_device(const Context& ctx, Floats elements) {
  const auto tensor = ctx.arena.allocate(elements.dims());
  upload(std::move(elements.values), tensor, ctx.stream);
  return tensor;
}

// The rows of the sequences of a dp rank; those of others are not calculated by a case.
template <class T>
std::vector<T> of_dp_rank(const std::vector<T>& all, const ContextCase& c) {
  const auto part = static_cast<std::ptrdiff_t>(all.size()) / c.grid.dp;
  return {all.begin() + c.dp * part, all.begin() + (c.dp + 1) * part};
}

}  // namespace fulgur::test
