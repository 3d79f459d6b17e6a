#pragma once

#include <string>
#include <string_view>

#include "recipes/types/named.hpp"

namespace fulgur {

// How the ranks of a job are laid out (arXiv 2501.08313, section 3; docs/math.md 2):
//
//   world = pp * dp * cp * tp        attention, embeddings, norms
//   world = pp * edp * ep * etp      experts; edp follows from the others
//
// Both meshes lie over the same ranks, the rightmost axis fastest.
struct Layout {
  int pp = 1;
  int dp = 1;
  int cp = 1;
  int tp = 1;
  int ep = 1;
  int etp = 1;

  friend bool operator==(const Layout&, const Layout&) = default;
};

struct DenseCoordinate {
  int pp = 0, dp = 0, cp = 0, tp = 0;
};
struct ExpertCoordinate {
  int pp = 0, edp = 0, ep = 0, etp = 0;
};

// Throws std::invalid_argument when a size is not positive or the product is no int; so does edp().
int world_size(const Layout& layout);

// Throws std::invalid_argument when ep * etp does not divide dp * cp * tp.
int edp(const Layout& layout);

// "pp=2,dp=4": the axes that are not 1, in the order of the struct; "dp=1" when all are.
std::string to_string(const Layout& layout);

// The inverse; axes in any order, those left out are 1. Throws std::invalid_argument for an axis that
// does not exist or stands there twice, and for a size that is not a positive integer.
Layout parse_layout(std::string_view text);

// Throw std::out_of_range when rank is not in [0, world_size).
DenseCoordinate dense_coordinate(Rank rank, const Layout& layout);
ExpertCoordinate expert_coordinate(Rank rank, const Layout& layout);

}  // namespace fulgur
