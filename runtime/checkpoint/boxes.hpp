#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fulgur {

// A box of a tensor: `count` elements from `start` on, in every dim.
struct Box {
  std::vector<std::int64_t> start, count;

  std::int64_t elements() const;
};

// The flat range [begin, end) of a row-major tensor as boxes, in the order of the elements: a box is flat
// without gaps, so box i begins where box i - 1 ends. At most 2 n - 1 boxes for n dims.
//
//   shape [4, 3], elements [2, 11):   [0, 2:3]   [1:3, 0:3]   [3, 0:2]
//
// Throws std::invalid_argument when the range is not inside the tensor.
std::vector<Box> boxes(std::span<const std::int64_t> shape, std::int64_t begin, std::int64_t end);

}  // namespace fulgur
