#pragma once

#include <cstdint>
#include <vector>

#include "recipes/job.hpp"

namespace fulgur {

// How the tokens of one global micro-batch lie on the ranks of a pipeline stage (docs/math.md 2.1).
//
// dp cuts the sequences; cp cuts every sequence of N tokens into n chunks, chunk c = tokens
// floor(c N / n) .. floor((c+1) N / n)-1, with n = 2 cp for zigzag (rank r holds chunks r and n-1-r) and
// n = cp for contiguous (rank r holds chunk r). A rank lays its chunks end to end, sequence by sequence:
// these are its T rows. tp cuts the rows once more between blocks: tp rank i holds the rows
// floor(i T / tp) .. floor((i+1) T / tp)-1.
struct TokenGrid {
  std::int64_t sequences = 1;  // of the global micro-batch; dp divides it
  std::int64_t length = 1;     // N
  int dp = 1, cp = 1, tp = 1;
  ContextOrder order = ContextOrder::kZigzag;
};

// Tokens [begin, end) of a sequence, which lie in the rows from `row` on.
struct TokenRun {
  std::int64_t sequence = 0;  // of the global micro-batch
  std::int64_t begin = 0, end = 0;
  std::int64_t row = 0;

  std::int64_t count() const noexcept { return end - begin; }
  friend bool operator==(const TokenRun&, const TokenRun&) = default;
};

// A chunk of a sequence, and which one: 0 .. chunks_per_sequence()-1.
struct Chunk : TokenRun {
  std::int64_t index = 0;

  friend bool operator==(const Chunk&, const Chunk&) = default;
};

std::int64_t chunks_per_sequence(const TokenGrid& grid);

// The chunks of rank (dp, cp), in row order: as many on every rank, some of them empty when a sequence
// has fewer tokens than chunks.
std::vector<Chunk> chunks(const TokenGrid& grid, int dp, int cp);

// The rows of rank (dp, cp).
std::int64_t row_count(const TokenGrid& grid, int cp);

// `rows` cut over `ranks`: the first row of each, and the end. [ranks + 1]
std::vector<std::int64_t> row_cuts(std::int64_t rows, int ranks);

// The runs of rank (dp, cp, tp), with rows counted from its own first one: as many on every rank, one
// for each chunk of chunks(), empty where the chunk has no row on this tp rank.
std::vector<TokenRun> token_runs(const TokenGrid& grid, int dp, int cp, int tp);

}  // namespace fulgur
