#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fulgur {

// A box of a tensor: `count` elements from `start` on, in every dim. Its values lie row-major.
struct Box {
  std::vector<std::int64_t> start, count;

  std::int64_t elements() const;
  friend bool operator==(const Box&, const Box&) = default;
};

// "[0:2, 3:7]": from:to of every dim.
std::string to_text(const Box& box);

// The product of dims; nothing when one is negative or the product is above 2^60, so that its bytes
// would not fit an int64.
std::optional<std::int64_t> count_elements(std::span<const std::int64_t> dims);

// The whole of a tensor as a box.
Box whole_box(std::span<const std::int64_t> shape);

// Whether the box has as many dims as the shape, at least one element, and no element outside. Any
// numbers may stand in the box; the elements of the shape must be countable.
bool is_inside(const Box& box, std::span<const std::int64_t> shape);

// The elements that two boxes of one tensor have in common; nothing when there are none.
std::optional<Box> intersection(const Box& a, const Box& b);

// A box as boxes of at most `max_elements` > 0 elements each, whose values follow one another in the values
// of the box: slices of its outermost dim, and of the next one where a slice is too large.
std::vector<Box> cut(const Box& box, std::int64_t max_elements);

// The flat range [begin, end) of a row-major tensor as boxes, in the order of the elements: a box is flat
// without gaps, so box i begins where box i - 1 ends. At most 2 n - 1 boxes for n dims.
//
//   shape [4, 3], elements [2, 11):   [0, 2:3]   [1:3, 0:3]   [3, 0:2]
//
// Throws std::invalid_argument when the range is not inside the tensor.
std::vector<Box> boxes(std::span<const std::int64_t> shape, std::int64_t begin, std::int64_t end);

// Where the box `part` lies in the values of the box `whole`, when they lie there in one run: the offset
// of its first value. Nothing when there are several runs. `part` must be inside `whole`.
std::optional<std::int64_t> offset_of_run(const Box& whole, const Box& part);

// Copies the elements of `part` from the values of the box `from` to those of the box `to`, run by run.
// `part` must be inside both.
void copy_box(const Box& part, const Box& from, std::span<const float> source, const Box& to,
              std::span<float> target);

}  // namespace fulgur
