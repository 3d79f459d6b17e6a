#include "recipes/cost/collectives.hpp"

#include <doctest/doctest.h>

#include "tests/recipes/cost/some_hardware.hpp"

namespace fulgur {

TEST_SUITE("recipes/cost") {
  TEST_CASE("groups lie on as few nodes as their stride allows") {
    const Layout layout{.pp = 2, .dp = 4, .cp = 2, .tp = 4, .ep = 8, .etp = 2};
    const auto shape = [&](Group group) { return group_shape(group, layout, 8); };
    CHECK(shape(Group::kTp).nodes() == 1);   // ranks 0 to 3
    CHECK(shape(Group::kCp).per_node == 2);  // 0 and 4
    CHECK(shape(Group::kEp).per_node == 4);  // 0, 2, 4, 6 | 8 ...
    CHECK(shape(Group::kEp).nodes() == 2);
    CHECK(shape(Group::kDense).per_node == 2);  // 0, 4 | 8, 12 | ...
    CHECK(shape(Group::kExpert).per_node == 1);
    CHECK(shape(Group::kPp).nodes() == 2);
    CHECK(shape(Group::kWorld).nodes() == 8);
  }

  TEST_CASE("collectives cost what alpha-beta says, on the slower link") {
    auto hardware = test::round_hardware();
    const GroupShape inside{.size = 8, .per_node = 8}, apart{.size = 8, .per_node = 1},
        mixed{.size = 16, .per_node = 8};
    // 8 GB of which a rank receives 7.
    CHECK(all_gather_cost(inside, 8e9, hardware).seconds == doctest::Approx(0.07));
    CHECK(all_gather_cost(apart, 8e9, hardware).seconds == doctest::Approx(0.7));
    // Eight rings between the nodes have 80 GB/s, less than the 100 inside.
    CHECK(all_gather_cost(mixed, 16e9, hardware).seconds == doctest::Approx(15.0 / 80));
    CHECK(all_reduce_cost(inside, 8e9, hardware).seconds == doctest::Approx(0.14));
    // One of 16 parts stays, 7 go over the node, 8 over the network.
    const auto exchange = all_to_all_cost(mixed, 16e9, hardware);
    CHECK(exchange.node_bytes == 7e9);
    CHECK(exchange.network_bytes == 8e9);
    CHECK(exchange.seconds == doctest::Approx(0.8));
    CHECK(send_cost(apart, 1e9, hardware).seconds == doctest::Approx(0.1));
    hardware.node.latency = 1e-3;
    hardware.network.latency = 2e-3;
    CHECK(all_gather_cost(inside, 8e9, hardware).seconds == doctest::Approx(0.071));
    CHECK(all_to_all_cost(mixed, 16e9, hardware).seconds == doctest::Approx(0.803));
    CHECK(send_cost(apart, 0, hardware).seconds == doctest::Approx(2e-3));
  }

  TEST_CASE("a group of one rank costs nothing") {
    auto hardware = test::round_hardware();
    hardware.node.latency = 1;
    const GroupShape alone;
    CHECK(all_gather_cost(alone, 1e9, hardware).seconds == 0);
    CHECK(all_reduce_cost(alone, 1e9, hardware).seconds == 0);
    CHECK(all_to_all_cost(alone, 1e9, hardware).seconds == 0);
    CHECK(send_cost(alone, 1e9, hardware).seconds == 0);
  }

  TEST_CASE("MiniMax-Text-01's traffic is what was counted by hand") {
    auto hardware = test::round_hardware();
    const double row = 6144.0 * 2;
    // Dispatch over ep = 8 of 8192 tokens with two experts each: 176 MB.
    const auto dispatch = all_to_all_cost({.size = 8, .per_node = 8}, 8192 * 2 * row, hardware);
    CHECK(dispatch.node_bytes == doctest::Approx(176e6).epsilon(0.005));
    // All rows over tp = 8: 88 MB.
    const auto rows = all_gather_cost({.size = 8, .per_node = 8}, 8192 * row, hardware);
    CHECK(rows.node_bytes == doctest::Approx(88e6).epsilon(0.005));
  }
}

}  // namespace fulgur
