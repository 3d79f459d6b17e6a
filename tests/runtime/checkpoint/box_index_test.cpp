#include "runtime/checkpoint/box_index.hpp"

#include <doctest/doctest.h>

#include <random>

#include "tests/runtime/checkpoint/random_boxes.hpp"

namespace fulgur {

TEST_SUITE("runtime/checkpoint/box_index") {
  TEST_CASE(
      "the index finds exactly the boxes that share an element, whatever overlaps there are") {
    std::mt19937 random(3);
    for (int i = 0; i < 300; ++i) {
      CAPTURE(i);
      const auto shape = test::random_shape(random, 12);
      std::vector<Box> boxes;
      std::vector<const Box*> views;
      for (auto rest = test::below(random, 40); rest > 0; --rest)
        boxes.push_back(test::random_box(random, shape));
      views.reserve(boxes.size());
      for (const auto& box : boxes)
        views.push_back(&box);
      const BoxIndex index(views);
      for (int query = 0; query < 20; ++query) {
        const auto box = test::random_box(random, shape);
        std::vector<std::size_t> expected;
        for (std::size_t number = 0; number < boxes.size(); ++number) {
          if (intersection(boxes[number], box)) expected.push_back(number);
        }
        REQUIRE(index.overlapping(box) == expected);
      }
    }
  }
}

}  // namespace fulgur
