#include "kernels/token_drop.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "kernels/token_permutation.hpp"
#include "tests/support/host_tensor.hpp"

namespace fulgur {
namespace {

using test::Ints;
using Vector = std::vector<std::int32_t>;

// One rank of two with two runs each: its runs have 2 and 3 tokens, k = 2, E = 3.
struct Case {
  Case() {
    key_runs({.experts = experts, .starts = starts, .keys = keys, .num_experts = 3}, stream);
    sort_by_expert({.experts = keys, .rows = rows, .slots = slots, .offsets = offsets}, stream);
    stream.synchronize();
  }

  void drop(std::int64_t capacity, std::int64_t capacity_alone) {
    drop_ranked({.experts = experts,
                 .starts = starts,
                 .rows = rows,
                 .offsets = offsets,
                 .before = before,
                 .kept = kept,
                 .dropped = dropped,
                 .dropped_alone = dropped_alone,
                 .capacity = capacity,
                 .capacity_alone = capacity_alone},
                stream);
    stream.synchronize();
  }

  Stream stream{Device::kCpu};
  Ints experts{{5, 2}, {0, 1, 0, 2, 2, 0, 0, 1, 1, 2}};
  Ints starts{{3}, {0, 2, 5}};
  Ints keys{{5, 2}, -9}, rows{{5, 2}, -9}, slots{{10}, -9}, offsets{{7}, -9};
  Ints before{{2, 3}, Vector{1, 0, 0, 3, 1, 1}};
  Ints kept{{5, 2}, -9}, dropped{{1}, 10}, dropped_alone{{1}, 20};
};

}  // namespace

TEST_SUITE("kernels/token_drop") {
  TEST_CASE("keys tell the runs apart, also around empty ones") {
    Case c;
    CHECK(c.keys.values == Vector{0, 1, 0, 2, 5, 3, 3, 4, 4, 5});
    CHECK(c.offsets.values == Vector{0, 2, 3, 4, 6, 8, 10});
    Ints starts({6}, {0, 0, 2, 2, 5, 5});
    key_runs({.experts = c.experts, .starts = starts, .keys = c.keys, .num_experts = 3}, c.stream);
    c.stream.synchronize();
    CHECK(c.keys.values == Vector{3, 4, 3, 5, 11, 9, 9, 10, 10, 11});
  }

  TEST_CASE("the counts of all runs at earlier places are added up") {
    Case c;
    // Runs 0, 1 of rank 0 and 2, 3 of rank 1, in the order 2, 0, 3, 1; this is rank 0.
    Ints all({2, 7}, {0, 2, 3, 4, 6, 8, 10, 0, 1, 1, 5, 5, 6, 8}), order({4}, {2, 0, 3, 1}),
        places({2}, {1, 3}), before({2, 3}, -9);
    count_before({.all_offsets = all, .order = order, .places = places, .before = before},
                 c.stream);
    c.stream.synchronize();
    CHECK(before.values == Vector{1, 0, 4, 3, 2, 7});
  }

  TEST_CASE("what comes behind the capacity is dropped and counted") {
    Case c;
    c.drop(3, 1);
    // Expert 0: one before run 0, so both of its own fit; run 1 comes too late. Expert 1: one in
    // run 0, one before run 1, so two more fit. Expert 2: likewise.
    CHECK(c.kept.values == Vector{0, 1, 0, 2, 2, -1, -1, 1, 1, 2});
    CHECK(c.dropped.values == Vector{12});
    CHECK(c.dropped_alone.values == Vector{20 + 3 + 2 + 2});
    c.drop(100, 100);
    CHECK(c.kept.values == c.experts.values);
    CHECK(c.dropped.values == Vector{12});
    c.drop(0, 0);
    CHECK(c.kept.values == Vector(10, -1));
    CHECK(c.dropped.values == Vector{22});
    CHECK(c.dropped_alone.values == Vector{37});
  }

  TEST_CASE("an expert that does not exist is refused by the queued work") {
    for (const auto wrong : {-1, 3}) {
      Case c;
      c.experts.values[5] = wrong;
      key_runs({.experts = c.experts, .starts = c.starts, .keys = c.keys, .num_experts = 3},
               c.stream);
      const auto message =
          "key_runs: experts: expected a number from 0 to 2, got " + std::to_string(wrong);
      CHECK_THROWS_WITH_AS(c.stream.synchronize(), message.c_str(), std::invalid_argument);
    }
  }

  TEST_CASE("wrong dims are refused by name") {
    Case c;
    CHECK_THROWS_WITH_AS(
        key_runs({.experts = c.experts, .starts = c.starts, .keys = c.slots}, c.stream),
        "key_runs: keys: expected dims [ 5 2 ], got [ 10 ]", std::invalid_argument);
    Ints all({2, 6}), order({4}), places({2});
    CHECK_THROWS_WITH_AS(
        count_before({.all_offsets = all, .order = order, .places = places, .before = c.before},
                     c.stream),
        "count_before: all_offsets: expected dims [ ? 7 ], got [ 2 6 ]", std::invalid_argument);
    c.before = Ints({3, 3});
    CHECK_THROWS_WITH_AS(c.drop(1, 1), "drop_ranked: starts: expected dims [ 4 ], got [ 3 ]",
                         std::invalid_argument);
  }
}

}  // namespace fulgur
