#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/checkpoint/boxes.hpp"

namespace fulgur {

// Finds the boxes of one tensor that share elements with a given box: an interval tree over the dim in
// which the boxes begin at the most places (so that columns are told apart as well as rows). Source:
// Cormen, Leiserson, Rivest, Stein: Introduction to Algorithms, 14.3 Interval trees.
//
// Cost: n log n to build; a question costs log n and the boxes that meet the given one in that dim.
class BoxIndex {
 public:
  // The boxes have the same number of dims; they are viewed and must outlive the index.
  explicit BoxIndex(std::vector<const Box*> boxes);

  // The numbers of the boxes (their places in the vector) that share an element with `box`, ascending.
  std::vector<std::size_t> overlapping(const Box& box) const;

 private:
  struct Interval {
    std::int64_t start, end;
    std::size_t number;
  };
  // The middle of a range of intervals_ is the root of its tree, the halves are its branches.
  std::int64_t fill_latest_ends(std::size_t begin, std::size_t end);
  void collect(std::size_t begin, std::size_t end, const Box& box,
               std::vector<std::size_t>& found) const;

  std::vector<const Box*> boxes_;
  std::size_t dim_ = 0;
  std::vector<Interval> intervals_;  // by start
  std::vector<std::int64_t>
      latest_ends_;  // of the tree whose root is the interval of the same place
};

}  // namespace fulgur
