#include "runtime/train/owned_boxes.hpp"

namespace fulgur {

std::vector<Box> owned_boxes(const OwnedRange& range) {
  const auto& part = range.parameter->part;
  auto found = boxes(part.count, range.begin, range.end);
  for (auto& box : found) {
    for (std::size_t dim = 0; dim < box.start.size(); ++dim)
      box.start[dim] += part.start[dim];
  }
  return found;
}

std::vector<FlatRange> flat_ranges(std::span<const std::int64_t> shape, const Box& box) {
  // Runs end where the innermost dims are no longer taken whole.
  std::vector<FlatRange> ranges{{0, 1}};
  for (std::size_t dim = 0; dim < shape.size(); ++dim) {
    std::vector<FlatRange> finer;
    for (const auto& outer : ranges) {
      for (auto index = outer.begin; index < outer.end; ++index) {
        const auto begin = index * shape[dim] + box.start[dim], end = begin + box.count[dim];
        if (!finer.empty() && finer.back().end == begin) {
          finer.back().end = end;
        } else {
          finer.push_back({begin, end});
        }
      }
    }
    ranges = std::move(finer);
  }
  return ranges;
}

}  // namespace fulgur
