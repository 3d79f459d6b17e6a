#pragma once

#include <vector>

#include "runtime/checkpoint/boxes.hpp"
#include "runtime/optim/sharded_adamw.hpp"

namespace fulgur {

// Where an owned range lies in the whole parameter: at most 2 n - 1 boxes for n dims, in the order of
// the range's elements.
std::vector<Box> owned_boxes(const OwnedRange& range);

// What is contiguous of a box in a row-major tensor of this shape: flat ranges [begin, end), in the order
// of the box's elements.
struct FlatRange {
  std::int64_t begin = 0, end = 0;
};
std::vector<FlatRange> flat_ranges(std::span<const std::int64_t> shape, const Box& box);

}  // namespace fulgur
