#include "runtime/checkpoint/box_index.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace fulgur {
namespace {

std::size_t num_starts(const std::vector<const Box*>& boxes, std::size_t dim) {
  std::vector<std::int64_t> starts;
  starts.reserve(boxes.size());
  for (const auto* box : boxes)
    starts.push_back(box->start[dim]);
  std::sort(starts.begin(), starts.end());
  return static_cast<std::size_t>(std::unique(starts.begin(), starts.end()) - starts.begin());
}

std::size_t best_dim(const std::vector<const Box*>& boxes) {
  if (boxes.empty()) return 0;
  std::size_t best = 0, most = 0;
  for (std::size_t dim = 0; dim < boxes.front()->start.size(); ++dim) {
    const auto starts = num_starts(boxes, dim);
    if (starts > most) best = dim;
    most = std::max(most, starts);
  }
  return best;
}

}  // namespace

BoxIndex::BoxIndex(std::vector<const Box*> boxes)
    : boxes_(std::move(boxes)), dim_(best_dim(boxes_)), latest_ends_(boxes_.size()) {
  for (std::size_t number = 0; number < boxes_.size(); ++number) {
    const auto start = boxes_[number]->start[dim_];
    intervals_.push_back({start, start + boxes_[number]->count[dim_], number});
  }
  std::sort(intervals_.begin(), intervals_.end(),
            [](const Interval& a, const Interval& b) { return a.start < b.start; });
  fill_latest_ends(0, intervals_.size());
}

std::int64_t BoxIndex::fill_latest_ends(std::size_t begin, std::size_t end) {
  if (begin == end) return std::numeric_limits<std::int64_t>::min();
  const auto root = begin + (end - begin) / 2;
  latest_ends_[root] = std::max(
      {intervals_[root].end, fill_latest_ends(begin, root), fill_latest_ends(root + 1, end)});
  return latest_ends_[root];
}

std::vector<std::size_t> BoxIndex::overlapping(const Box& box) const {
  std::vector<std::size_t> found;
  collect(0, intervals_.size(), box, found);
  std::sort(found.begin(), found.end());
  return found;
}

void BoxIndex::collect(std::size_t begin, std::size_t end, const Box& box,
                       std::vector<std::size_t>& found) const {
  if (begin == end) return;
  const auto root = begin + (end - begin) / 2;
  if (latest_ends_[root] <= box.start[dim_]) return;
  collect(begin, root, box, found);
  const auto& interval = intervals_[root];
  if (interval.start >= box.start[dim_] + box.count[dim_]) return;
  if (intersection(*boxes_[interval.number], box)) found.push_back(interval.number);
  collect(root + 1, end, box, found);
}

}  // namespace fulgur
