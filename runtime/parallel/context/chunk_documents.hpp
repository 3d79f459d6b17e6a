#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/context.hpp"
#include "recipes/token_runs.hpp"

// What the plans of both attentions ask of the documents in the chunks. Private to this folder.
namespace fulgur {

// documents[s]: where the documents of the s-th sequence of a dp rank start, and the sequence's
// end.
using Documents = std::span<const std::vector<std::int32_t>>;

// Throws std::invalid_argument unless there is an entry for each sequence of a dp rank, and each
// one rises from 0 to the sequence's length.
void expect_documents(const TokenGrid& grid, Documents documents);

// The chunks of one rank by (sequence of the dp rank, which of the rank's chunks in it). With cp =
// 1 a sequence is one chunk, whatever the order.
class RankChunks {
 public:
  RankChunks(const TokenGrid& grid, int dp, int cp);

  std::int64_t sequences() const noexcept { return sequences_; }
  std::int64_t per_sequence() const noexcept { return per_sequence_; }
  const Chunk& at(std::int64_t sequence, std::int64_t which) const {
    return chunks_[static_cast<std::size_t>(sequence * per_sequence_ + which)];
  }

 private:
  std::int64_t sequences_, per_sequence_;
  std::vector<Chunk> chunks_;
};

// Tokens [begin, end) of a sequence, all of one document.
struct Piece {
  std::int64_t begin = 0, end = 0;
};

// The documents in a chunk, cut at its ends; none for an empty chunk.
std::vector<Piece> pieces(const std::vector<std::int32_t>& starts, const TokenRun& chunk);

// True when a document starts, or the sequence ends, at one of the tokens first .. last.
bool has_start(const std::vector<std::int32_t>& starts, std::int64_t first, std::int64_t last);

// The tokens between two chunks of a sequence when one document spans from the last token of `left`
// to the first of `right`; -1 when none does, when one of the two is empty, or when `left` is not
// before `right`.
std::int64_t distance(const std::vector<std::int32_t>& starts, const Chunk& left,
                      const Chunk& right);

// How many rows a table of `count` documents or pieces gets on a device. A GPU's are filled up to a power of
// two with empty ones, which cost it nothing to speak of: so the tables of one step have the size of those of
// another, and its tensors their places (kernels/graph.hpp).
std::size_t table_rows(std::size_t count, Device device);

// A table of numbers on the stream's device, in ctx.arena; its upload is queued on ctx.stream.
Tensor upload_table(const Context& ctx, std::vector<std::int32_t> values, const Shape& dims);

}  // namespace fulgur
