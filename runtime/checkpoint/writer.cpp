#include "runtime/checkpoint/writer.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "runtime/checkpoint/shard_writer.hpp"

namespace fulgur {

ShardRecord write_shard(const std::filesystem::path& folder, int rank,
                        std::span<const Piece> pieces) {
  std::vector<PieceRange> ranges;
  ranges.reserve(pieces.size());
  for (const auto& piece : pieces) {
    if (piece.end - piece.begin != static_cast<std::int64_t>(piece.values.size()))
      throw std::invalid_argument(
          fmt::format("write_shard: tensor `{}`: the range [{}, {}) has {} values", piece.tensor,
                      piece.begin, piece.end, piece.values.size()));
    ranges.push_back({piece.tensor, piece.begin, piece.end});
  }
  ShardWriter writer(folder, rank, ranges);
  for (const auto& piece : pieces)
    writer.append(piece.values);
  return writer.finish();
}

}  // namespace fulgur
