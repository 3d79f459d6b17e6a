#include "runtime/checkpoint/coverage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "runtime/checkpoint/files.hpp"

namespace fulgur {
namespace {

struct Extent {
  std::int64_t begin, end;
  const ShardRecord* shard;
};

void check_tensor(const TensorRecord& tensor, std::vector<Extent>& extents,
                  const std::filesystem::path& path) {
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  const auto missing = [&](std::int64_t begin, std::int64_t end) {
    fail_invalid(path, fmt::format("tensor `{}`: the elements [{}, {}) are in no shard",
                                   tensor.name, begin, end));
  };
  std::int64_t covered = 0;
  const ShardRecord* last = nullptr;
  for (const auto& extent : extents) {
    if (extent.begin > covered) missing(covered, extent.begin);
    if (extent.begin < covered)
      fail_invalid(path, fmt::format("tensor `{}`: the elements [{}, {}) are in {} and in {}",
                                     tensor.name, extent.begin, std::min(covered, extent.end),
                                     last->file, extent.shard->file));
    covered = extent.end;
    last = extent.shard;
  }
  const auto count = element_count(tensor);
  if (covered < count) missing(covered, count);
}

}  // namespace

void check_coverage(const Manifest& manifest, const std::filesystem::path& path) {
  std::map<std::string_view, std::vector<Extent>> extents;
  for (const auto& shard : manifest.shards) {
    for (const auto& piece : shard.pieces)
      extents[piece.tensor].push_back({piece.begin, piece.end, &shard});
  }
  for (const auto& tensor : manifest.tensors)
    check_tensor(tensor, extents[tensor.name], path);
}

}  // namespace fulgur
