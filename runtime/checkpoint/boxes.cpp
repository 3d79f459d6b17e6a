#include "runtime/checkpoint/boxes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>

namespace fulgur {
namespace {

// The largest box that begins at `at` and has at most `most` > 0 elements: whole slices of the outermost
// dim whose inner coordinates are all zero there.
Box largest_box(std::span<const std::int64_t> shape, std::int64_t at, std::int64_t most) {
  Box box{.start = std::vector<std::int64_t>(shape.size()),
          .count = std::vector<std::int64_t>(shape.size(), 1)};
  std::int64_t stride = 1;  // elements of one slice of `dim`
  std::int64_t slices = 1;
  std::size_t widest = shape.size() - 1;  // where the slices are counted
  for (std::size_t dim = shape.size(); dim-- > 0;) {
    box.start[dim] = at / stride % shape[dim];
    if (at % stride == 0 && stride <= most) {
      widest = dim;
      slices = std::min(shape[dim] - box.start[dim], most / stride);
    }
    stride *= shape[dim];
  }
  box.count[widest] = slices;
  std::copy(shape.begin() + static_cast<std::ptrdiff_t>(widest) + 1, shape.end(),
            box.count.begin() + static_cast<std::ptrdiff_t>(widest) + 1);
  return box;
}

}  // namespace

std::int64_t Box::elements() const {
  return std::accumulate(count.begin(), count.end(), std::int64_t{1}, std::multiplies<>());
}

std::vector<Box> boxes(std::span<const std::int64_t> shape, std::int64_t begin, std::int64_t end) {
  const auto total =
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  if (shape.empty() || begin < 0 || begin > end || end > total)
    throw std::invalid_argument(
        fmt::format("boxes: the range [{}, {}) is not inside a tensor of shape [{}]", begin, end,
                    fmt::join(shape, ", ")));
  std::vector<Box> found;
  for (auto at = begin; at < end;) {
    found.push_back(largest_box(shape, at, end - at));
    at += found.back().elements();
  }
  return found;
}

}  // namespace fulgur
