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
    if (count_elements(piece.box.count) != static_cast<std::int64_t>(piece.values.size()))
      throw std::invalid_argument(
          fmt::format("write_shard: tensor `{}`: a box of [{}] elements has {} values",
                      piece.tensor, fmt::join(piece.box.count, ", "), piece.values.size()));
    ranges.push_back({piece.tensor, piece.box});
  }
  ShardWriter writer(folder, rank, ranges);
  for (const auto& piece : pieces)
    writer.append(piece.values);
  return writer.finish();
}

}  // namespace fulgur
