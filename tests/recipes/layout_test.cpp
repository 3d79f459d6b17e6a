#include "recipes/layout.hpp"

#include <doctest/doctest.h>

#include <set>
#include <stdexcept>
#include <tuple>

namespace fulgur {
namespace {

TEST_SUITE("recipes/layout") {
  TEST_CASE("the expert mesh lies over the same ranks as the dense mesh") {
    const Layout layout{.pp = 2, .dp = 3, .cp = 2, .tp = 2, .ep = 3, .etp = 2};
    CHECK(world_size(layout) == 24);
    CHECK(edp(layout) == 2);
    const auto dense = dense_coordinate(Rank{17}, layout);  // 17 = ((1 * 3 + 1) * 2 + 0) * 2 + 1
    CHECK(std::tuple(dense.pp, dense.dp, dense.cp, dense.tp) == std::tuple(1, 1, 0, 1));
    const auto expert = expert_coordinate(Rank{17}, layout);  // 17 = ((1 * 2 + 0) * 3 + 2) * 2 + 1
    CHECK(std::tuple(expert.pp, expert.edp, expert.ep, expert.etp) == std::tuple(1, 0, 2, 1));
  }

  TEST_CASE("every rank has coordinates of its own, on the same pipeline stage in both meshes") {
    const Layout layout{.pp = 2, .dp = 2, .cp = 3, .tp = 2, .ep = 2, .etp = 3};
    std::set<std::tuple<int, int, int, int>> dense_seen, expert_seen;
    for (int rank = 0; rank < world_size(layout); ++rank) {
      CAPTURE(rank);
      const auto dense = dense_coordinate(Rank{rank}, layout);
      const auto expert = expert_coordinate(Rank{rank}, layout);
      CHECK(dense.pp == expert.pp);
      CHECK(((dense.pp * 2 + dense.dp) * 3 + dense.cp) * 2 + dense.tp == rank);
      CHECK(((expert.pp * 2 + expert.edp) * 2 + expert.ep) * 3 + expert.etp == rank);
      dense_seen.emplace(dense.pp, dense.dp, dense.cp, dense.tp);
      expert_seen.emplace(expert.pp, expert.edp, expert.ep, expert.etp);
    }
    CHECK(dense_seen.size() == 24);
    CHECK(expert_seen.size() == 24);
  }

  TEST_CASE("a rank outside the world and meshes that do not fit are refused") {
    CHECK_THROWS_WITH_AS(dense_coordinate(Rank{2}, {.dp = 2}),
                         "rank 2 is not in a world of 2 (dp=2)", std::out_of_range);
    CHECK_THROWS_AS(expert_coordinate(Rank{-1}, {.dp = 2}), std::out_of_range);
    CHECK_THROWS_WITH_AS(edp({.dp = 4, .ep = 3}),
                         "ep 3 x etp 1 = 3 does not divide dp 4 x cp 1 x tp 1 = 4",
                         std::invalid_argument);
    CHECK_THROWS_AS(world_size({.dp = 0}), std::invalid_argument);
    CHECK_THROWS_AS(world_size({.pp = 65536, .dp = 65536}), std::invalid_argument);
  }

  TEST_CASE("a layout and its text are inverse") {
    CHECK(to_string(Layout{}) == "dp=1");
    CHECK(to_string(Layout{.pp = 2, .cp = 2, .ep = 4}) == "pp=2,cp=2,ep=4");
    CHECK(parse_layout("ep=2,pp=3") == Layout{.pp = 3, .ep = 2});
    for (const Layout layout :
         {Layout{}, Layout{.pp = 2, .dp = 3, .cp = 5, .tp = 7, .ep = 2, .etp = 9}})
      CHECK(parse_layout(to_string(layout)) == layout);
  }

  TEST_CASE("a text that is no layout is refused with the part that is wrong") {
    CHECK_THROWS_WITH_AS(parse_layout("dp=2,dp=2"), "layout `dp=2,dp=2`: dp is given twice",
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(parse_layout("dp=0"),
                         "layout `dp=0`: dp must be a positive integer, not `0`",
                         std::invalid_argument);
    for (const auto* text :
         {"", "dp", "dp=", "dp=2,", "dp=2x", "xp=2", "dp=-1", "dp=99999999999", "=2"}) {
      CAPTURE(text);
      CHECK_THROWS_AS(parse_layout(text), std::invalid_argument);
    }
  }
}

}  // namespace
}  // namespace fulgur
