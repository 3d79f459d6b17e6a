#include "orchestrator/sweep/layouts.hpp"

#include <doctest/doctest.h>

#include <set>
#include <stdexcept>

using namespace fulgur;

TEST_SUITE("orchestrator/sweep/layouts") {
  TEST_CASE(
      "two ranks have a layout for each axis of the stage with each of the experts', and a "
      "pipeline") {
    const auto layouts = layouts_of(2);
    CHECK(layouts.size() == 3 * 3 + 1);
  }

  TEST_CASE("every layout stands there once, has its ranks, and its meshes fit each other") {
    for (const int world : {1, 6, 8, 12}) {
      CAPTURE(world);
      const auto layouts = layouts_of(world);
      std::set<std::string> seen;
      for (const auto& layout : layouts) {
        CHECK(world_size(layout) == world);
        CHECK(edp(layout) >= 1);
        CHECK(seen.insert(to_string(layout)).second);
      }
      // By trying all sizes.
      std::size_t count = 0;
      for (int pp = 1; pp <= world; ++pp)
        for (int dp = 1; dp <= world; ++dp)
          for (int cp = 1; cp <= world; ++cp)
            for (int tp = 1; tp <= world; ++tp) {
              if (pp * dp * cp * tp != world) continue;
              for (int ep = 1; ep <= world; ++ep)
                for (int etp = 1; etp <= world; ++etp)
                  if (dp * cp * tp % (ep * etp) == 0) ++count;
            }
      CHECK(layouts.size() == count);
    }
    CHECK_THROWS_AS(layouts_of(0), std::invalid_argument);
  }
}
