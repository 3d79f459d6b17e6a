#include "tests/orchestrator/simulation/simulation.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace fulgur::test;

namespace {

constexpr std::uint64_t kSeedsOfCase = 26'000;

// What all scenarios of a case came to, so that none of the faults goes unmet.
struct Totals {
  std::int64_t restarts = 0, commits = 0, refused = 0, faults = 0, shrank = 0, grew = 0;
  std::map<int, int> exit_codes;
};

Totals play(std::uint64_t from) {
  Totals totals;
  for (std::uint64_t seed = from; seed < from + kSeedsOfCase; ++seed) {
    const auto end = simulate(seed);
    if (!end.broken.empty()) FAIL("seed " << seed << ": " << end.broken);
    totals.restarts += end.attempts - 1;
    totals.commits += end.commits;
    totals.refused += end.refused;
    totals.faults += end.faults;
    totals.shrank += end.shrank ? 1 : 0;
    totals.grew += end.grew ? 1 : 0;
    ++totals.exit_codes[end.exit_code];
  }
  return totals;
}

void check(const Totals& totals) {
  MESSAGE("faults " << totals.faults << ", restarts " << totals.restarts << ", commits "
                    << totals.commits << ", refused " << totals.refused << ", shrank "
                    << totals.shrank << ", grew " << totals.grew);
  for (const int code : {0, 1, 65, 69, 75, 93}) {
    INFO("exit code " << code);
    CHECK(totals.exit_codes.contains(code));
  }
  CHECK(totals.restarts > 1000);
  CHECK(totals.refused > 1000);
  CHECK(totals.shrank > 100);
  CHECK(totals.grew > 10);
}

}  // namespace

// Four cases, so that they run beside each other: 104 000 scenarios in all.
TEST_SUITE("orchestrator/simulation") {
  TEST_CASE("no fault breaks an invariant of supervision, seeds 0 to 25 999") {
    check(play(0));
  }
  TEST_CASE("no fault breaks an invariant of supervision, seeds 26 000 to 51 999") {
    check(play(kSeedsOfCase));
  }
  TEST_CASE("no fault breaks an invariant of supervision, seeds 52 000 to 77 999") {
    check(play(2 * kSeedsOfCase));
  }
  TEST_CASE("no fault breaks an invariant of supervision, seeds 78 000 to 103 999") {
    check(play(3 * kSeedsOfCase));
  }

  TEST_CASE("a seed plays the same scenario every time") {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      const auto once = simulate(seed);
      const auto again = simulate(seed);
      CHECK(once.exit_code == again.exit_code);
      CHECK(once.attempts == again.attempts);
      CHECK(once.commits == again.commits);
      CHECK(once.faults == again.faults);
    }
  }
}
