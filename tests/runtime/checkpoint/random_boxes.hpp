#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "runtime/checkpoint/boxes.hpp"

namespace fulgur::test {

inline std::size_t below(std::mt19937& random, std::size_t bound) {
  return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
}

inline std::int64_t between(std::mt19937& random, std::int64_t from, std::int64_t to) {
  return std::uniform_int_distribution<std::int64_t>(from, to)(random);
}

// 1 to 4 dims of 1 to `most` elements.
inline std::vector<std::int64_t> random_shape(std::mt19937& random, std::int64_t most) {
  std::vector<std::int64_t> shape(1 + below(random, 4));
  for (auto& dim : shape)
    dim = between(random, 1, most);
  return shape;
}

// Anywhere inside, at least one element.
inline Box random_box(std::mt19937& random, const std::vector<std::int64_t>& shape) {
  Box box;
  for (const auto dim : shape) {
    box.start.push_back(between(random, 0, dim - 1));
    box.count.push_back(between(random, 1, dim - box.start.back()));
  }
  return box;
}

// Boxes that hold every element once: cuts any box in any dim at any place, up to `cuts` times.
inline std::vector<Box> random_partition(std::mt19937& random,
                                         const std::vector<std::int64_t>& shape, std::size_t cuts) {
  std::vector<Box> boxes{whole_box(shape)};
  for (auto rest = below(random, cuts + 1); rest > 0; --rest) {
    const auto which = below(random, boxes.size()), dim = below(random, shape.size());
    if (boxes[which].count[dim] < 2) continue;
    auto half = boxes[which];
    half.count[dim] = between(random, 1, half.count[dim] - 1);
    boxes[which].start[dim] += half.count[dim];
    boxes[which].count[dim] -= half.count[dim];
    boxes.push_back(half);
  }
  return boxes;
}

// The first box "[0:2, 3:7]" in a text.
inline Box box_in(const std::string& text) {
  Box box;
  auto at = text.find('[');
  REQUIRE(at != std::string::npos);
  while (text[at] != ']') {
    const auto colon = text.find(':', at), end = text.find_first_of(",]", colon);
    REQUIRE(end != std::string::npos);
    box.start.push_back(std::stoll(text.substr(at + 1, colon - at - 1)));
    box.count.push_back(std::stoll(text.substr(colon + 1, end - colon - 1)) - box.start.back());
    at = end;
  }
  return box;
}

}  // namespace fulgur::test
