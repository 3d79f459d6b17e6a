#include "runtime/comm/link_probe.hpp"

#include <doctest/doctest.h>

#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "runtime/comm/ucx.hpp"
#include "tests/runtime/comm/ucx_group.hpp"

using namespace fulgur;

TEST_SUITE("runtime/comm/link_probe") {
  TEST_CASE("in a tournament each rank meets each other once, and always mutually") {
    for (int size = 2; size <= 17; ++size) {
      CAPTURE(size);
      std::set<std::pair<int, int>> met;
      for (int round = 0; round < num_rounds(size); ++round) {
        for (int rank = 0; rank < size; ++rank) {
          const int partner = partner_in_round(size, rank, round);
          if (partner < 0) continue;
          CHECK(partner != rank);
          REQUIRE(partner < size);
          CHECK(partner_in_round(size, partner, round) == rank);
          CHECK(met.insert({rank, partner}).second);
        }
      }
      CHECK(met.size() == static_cast<std::size_t>(size * (size - 1)));
    }
  }

  TEST_CASE("every link of a small group is measured, and by both of its ends") {
    auto group = test::make_ucx_group("probe", 3, test::kGenerous);
    std::vector<std::vector<LinkMeasured>> links(3);
    test::run_ranks(group, [&](Communicator& ranks, Stream&) {
      links[static_cast<std::size_t>(ranks.rank())] = probe_links(ranks, 100);
    });
    for (int rank = 0; rank < 3; ++rank) {
      const auto& mine = links[static_cast<std::size_t>(rank)];
      REQUIRE(mine.size() == 2);
      for (const auto& link : mine) {
        CHECK(link.peer != rank);
        CHECK(link.latency_microseconds > 0);
        CHECK(link.gigabytes_per_second > 0);
      }
      CHECK(mine[0].peer != mine[1].peer);
    }
  }

  TEST_CASE("a round that does not exist is refused") {
    CHECK_THROWS_AS(partner_in_round(4, 0, 3), std::invalid_argument);
    CHECK_THROWS_AS(partner_in_round(4, 4, 0), std::invalid_argument);
  }
}
