#include "runtime/checkpoint/boxes.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

namespace fulgur {
namespace {

using Shape = std::vector<std::int64_t>;

// The flat elements of a box, dim by dim.
void append_elements(const Shape& shape, const Box& box, std::vector<std::int64_t>& elements) {
  auto at = box.start;
  for (std::int64_t i = 0; i < box.elements(); ++i) {
    std::int64_t flat = 0;
    for (std::size_t dim = 0; dim < shape.size(); ++dim)
      flat = flat * shape[dim] + at[dim];
    elements.push_back(flat);
    for (std::size_t dim = shape.size(); dim-- > 0;) {
      if (++at[dim] < box.start[dim] + box.count[dim]) break;
      at[dim] = box.start[dim];
    }
  }
}

}  // namespace

TEST_SUITE("runtime/checkpoint/boxes") {
  TEST_CASE("the boxes of every flat range hold its elements in order") {
    for (const Shape& shape :
         {Shape{7}, Shape{4, 3}, Shape{3, 1, 4}, Shape{1, 1}, Shape{2, 3, 2, 5}}) {
      std::int64_t total = 1;
      for (const auto dim : shape)
        total *= dim;
      for (std::int64_t begin = 0; begin <= total; ++begin) {
        for (std::int64_t end = begin; end <= total; ++end) {
          CAPTURE(begin);
          CAPTURE(end);
          std::vector<std::int64_t> elements, expected;
          const auto found = boxes(shape, begin, end);
          for (const auto& box : found)
            append_elements(shape, box, elements);
          for (auto i = begin; i < end; ++i)
            expected.push_back(i);
          REQUIRE(elements == expected);
          REQUIRE(found.size() <= 2 * shape.size() - 1);
        }
      }
    }
  }

  TEST_CASE("a whole tensor is one box") {
    const auto found = boxes(Shape{6, 2, 5}, 0, 60);
    REQUIRE(found.size() == 1);
    CHECK(found[0].start == Shape{0, 0, 0});
    CHECK(found[0].count == Shape{6, 2, 5});
  }

  TEST_CASE("a range outside the tensor is refused") {
    CHECK_THROWS_AS(boxes(Shape{4, 3}, 0, 13), std::invalid_argument);
    CHECK_THROWS_AS(boxes(Shape{4, 3}, -1, 2), std::invalid_argument);
    CHECK_THROWS_AS(boxes(Shape{4, 3}, 3, 2), std::invalid_argument);
  }
}

}  // namespace fulgur
