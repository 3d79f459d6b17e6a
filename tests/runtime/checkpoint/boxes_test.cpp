#include "runtime/checkpoint/boxes.hpp"

#include <doctest/doctest.h>

#include <limits>
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

  TEST_CASE("the parts of a box that is cut hold its elements in order, and not too many each") {
    const Shape shape{4, 3, 5, 6};
    for (const Box& box : {Box{{0, 0, 0, 0}, {4, 3, 5, 6}}, Box{{1, 0, 2, 1}, {1, 3, 3, 4}},
                           Box{{2, 1, 0, 5}, {2, 1, 5, 1}}, Box{{3, 2, 4, 0}, {1, 1, 1, 6}}}) {
      std::vector<std::int64_t> expected;
      append_elements(shape, box, expected);
      for (std::int64_t most = 1; most <= box.elements() + 1; ++most) {
        CAPTURE(most);
        std::vector<std::int64_t> elements;
        const auto parts = cut(box, most);
        for (const auto& part : parts) {
          REQUIRE(part.elements() <= most);
          append_elements(shape, part, elements);
        }
        REQUIRE(elements == expected);
        if (most >= box.elements()) REQUIRE(parts == std::vector<Box>{box});
      }
    }
    CHECK(cut(Box{{0, 0}, {5, 4}}, 9) ==
          std::vector<Box>{{{0, 0}, {2, 4}}, {{2, 0}, {2, 4}}, {{4, 0}, {1, 4}}});
  }

  TEST_CASE("numbers that do not fit a box are found, also where sums and products overflow") {
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    const Shape shape{4, 3};
    CHECK(is_inside({{1, 2}, {3, 1}}, shape));
    for (const Box& box :
         {Box{{1, 2}, {4, 1}}, Box{{4, 0}, {1, 1}}, Box{{-1, 0}, {2, 2}}, Box{{1, 2}, {kMost, 1}},
          Box{{kMost, 0}, {kMost, 1}}, Box{{1, 2}, {3, 0}}, Box{{1}, {3}},
          Box{{1, 2, 0}, {3, 1, 1}}, Box{{1, 2}, {3}}})
      CHECK(!is_inside(box, shape));
    CHECK(count_elements(Shape{std::int64_t{1} << 30, std::int64_t{1} << 30}) == std::int64_t{1}
                                                                                     << 60);
    CHECK(!count_elements(Shape{std::int64_t{1} << 31, std::int64_t{1} << 30}));
    CHECK(!count_elements(Shape{kMost, kMost}));
    CHECK(!count_elements(Shape{3, -1}));
    CHECK(count_elements(Shape{kMost, kMost, 0}) == 0);
  }

  TEST_CASE("a range outside the tensor is refused") {
    CHECK_THROWS_AS(boxes(Shape{4, 3}, 0, 13), std::invalid_argument);
    CHECK_THROWS_AS(boxes(Shape{4, 3}, -1, 2), std::invalid_argument);
    CHECK_THROWS_AS(boxes(Shape{4, 3}, 3, 2), std::invalid_argument);
  }
}

}  // namespace fulgur
