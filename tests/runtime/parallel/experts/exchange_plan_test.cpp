#include "runtime/parallel/experts/exchange_plan.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

namespace fulgur {
namespace {

using Counts = std::vector<std::int64_t>;
using Table = std::vector<std::int32_t>;

// The offsets that ranks gather, from the counts of [ep, etp, groups, E].
Table offsets_of(const Table& counts, std::size_t experts) {
  Table offsets;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (i % experts == 0) offsets.push_back(0);
    offsets.push_back(offsets.back() + counts[i]);
  }
  return offsets;
}

}  // namespace

TEST_SUITE("runtime/parallel/experts/exchange_plan") {
  TEST_CASE("a rank alone keeps its rows in their order") {
    const auto plan = plan_exchange({.experts = 3}, offsets_of({2, 0, 3}, 3)).at(0);
    CHECK(plan.send == Counts{5});
    CHECK(plan.receive == Counts{5});
    CHECK(plan.gather == Counts{5});
    CHECK(plan.offsets == Table{0, 2, 2, 5});
    CHECK(plan.sources == Table{0, 1, 2, 3, 4});
    CHECK(plan.arrivals == plan.sources);
  }

  TEST_CASE("a block of 2 x 2 brings together the rows of each expert") {
    // Four experts, one group; the ranks are (0, 0), (0, 1), (1, 0), (1, 1).
    const auto offsets = offsets_of({1, 2, 3, 4,  //
                                     0, 1, 0, 2,  //
                                     2, 0, 1, 1,  //
                                     0, 3, 1, 0},
                                    4);
    const ExchangeShape shape{
        .ep = 2, .etp = 2, .ep_rank = 1, .etp_rank = 0, .token_groups = 1, .experts = 4};
    const auto plan = plan_exchange(shape, offsets).at(0);
    CHECK(plan.send == Counts{2, 2});     // its experts 0, 1 and 2, 3
    CHECK(plan.receive == Counts{7, 2});  // experts 2, 3 of (0, 0) and (1, 0)
    CHECK(plan.gather == Counts{9, 3});
    CHECK(plan.offsets == Table{0, 5, 12});
    // Arrived: (0,0) 2 2 2 3 3 3 3, (1,0) 2 3, (0,1) 3 3, (1,1) 2.
    CHECK(plan.sources == Table{0, 1, 2, 7, 11, 3, 4, 5, 6, 8, 9, 10});
    CHECK(plan.arrivals == Table{0, 1, 2, 5, 6, 7, 8, 3, 9, 10, 11, 4});
  }

  TEST_CASE("each group has a plan of its own, also when it is empty") {
    const auto offsets = offsets_of({1, 1, 0, 0,  //
                                     0, 2, 0, 0},
                                    2);
    const ExchangeShape shape{
        .ep = 2, .etp = 1, .ep_rank = 1, .etp_rank = 0, .token_groups = 2, .experts = 2};
    const auto plans = plan_exchange(shape, offsets);
    REQUIRE(plans.size() == 2);
    CHECK(plans[0].send == Counts{0, 2});
    CHECK(plans[0].receive == Counts{1, 2});
    CHECK(plans[0].num_rows() == 3);
    CHECK(plans[1].num_sent() + plans[1].num_received() + plans[1].num_rows() == 0);
    CHECK(plans[1].offsets == Table{0, 0});
  }

  TEST_CASE("a shape that does not fit is refused with the numbers") {
    const Table none;
    CHECK_THROWS_WITH_AS(plan_exchange({.ep = 2, .experts = 3}, none),
                         "plan_exchange: ep = 2 does not divide 3 experts", std::invalid_argument);
    CHECK_THROWS_WITH_AS(plan_exchange({.ep = 2, .ep_rank = 2, .experts = 4}, none),
                         "plan_exchange: rank (2, 0) of a block of 2 x 1", std::invalid_argument);
    CHECK_THROWS_WITH_AS(plan_exchange({.experts = 4}, none),
                         "plan_exchange: expected 5 offsets, got 0", std::invalid_argument);
  }
}

}  // namespace fulgur
