#include "runtime/parallel/context/chunk_documents.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/transfer.hpp"

namespace fulgur {
namespace {

TokenGrid whole_sequences_if_alone(TokenGrid grid) {
  if (grid.cp == 1) grid.order = ContextOrder::kContiguous;
  return grid;
}

}  // namespace

void expect_documents(const TokenGrid& grid, Documents documents) {
  const auto expected = static_cast<std::size_t>(grid.sequences / grid.dp);
  if (documents.size() != expected) {
    throw std::invalid_argument("documents: expected those of " + std::to_string(expected) +
                                " sequences, got " + std::to_string(documents.size()));
  }
  for (const auto& starts : documents) {
    if (starts.empty() || starts.front() != 0 || starts.back() != grid.length ||
        !std::is_sorted(starts.begin(), starts.end())) {
      throw std::invalid_argument("documents: expected starts that rise from 0 to " +
                                  std::to_string(grid.length));
    }
  }
}

RankChunks::RankChunks(const TokenGrid& grid, int dp, int cp)
    : sequences_(grid.sequences / grid.dp),
      per_sequence_(grid.cp > 1 && grid.order == ContextOrder::kZigzag ? 2 : 1),
      chunks_(chunks(whole_sequences_if_alone(grid), dp, cp)) {}

std::vector<Piece> pieces(const std::vector<std::int32_t>& starts, const TokenRun& chunk) {
  std::vector<Piece> result;
  auto next = std::upper_bound(starts.begin(), starts.end(), chunk.begin);
  for (auto begin = chunk.begin; begin < chunk.end; ++next) {
    const auto end = std::min<std::int64_t>(*next, chunk.end);
    if (end > begin) result.push_back({begin, end});
    begin = end;
  }
  return result;
}

bool has_start(const std::vector<std::int32_t>& starts, std::int64_t first, std::int64_t last) {
  const auto at = std::lower_bound(starts.begin(), starts.end(), first);
  return at != starts.end() && *at <= last;
}

std::int64_t distance(const std::vector<std::int32_t>& starts, const Chunk& left,
                      const Chunk& right) {
  if (left.index >= right.index || left.count() == 0 || right.count() == 0) return -1;
  return has_start(starts, left.end, right.begin) ? -1 : right.begin - left.end;
}

std::size_t table_rows(std::size_t count, Device device) {
  constexpr std::size_t kLeast = 32;
  return device == Device::kCpu ? count : std::bit_ceil(std::max(count, kLeast));
}

Tensor upload_table(const Context& ctx, std::vector<std::int32_t> values, const Shape& dims) {
  const auto table = ctx.arena.allocate(dims, DType::kInt32);
  upload(std::move(values), table, ctx.stream);
  return table;
}

}  // namespace fulgur
