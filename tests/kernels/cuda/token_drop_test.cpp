#include "kernels/token_drop.hpp"

#include <doctest/doctest.h>

#include <array>

#include "kernels/token_permutation.hpp"
#include "tests/support/devices.hpp"

namespace fulgur {
namespace {

using test::BothDevices;
using test::Ints;
using test::random_ints;
using test::TwinInts;

// n runs of T tokens, the first of them empty when there are several.
Ints run_starts(std::int32_t n, std::int32_t T) {
  Ints starts({n + 1});
  for (std::int32_t i = 1; i <= n; ++i)
    starts.values[static_cast<std::size_t>(i)] = i == n ? T : T / n * (i - 1);
  return starts;
}

}  // namespace

TEST_SUITE("kernels/cuda/token_drop") {
  TEST_CASE("the assignments that are dropped and their numbers are those of the CPU" *
            doctest::skip(!test::has_cuda())) {
    for (const auto& sizes :
         {std::array{1, 1, 1, 1}, {131, 3, 11, 4}, {1009, 2, 32, 1}, {8192, 2, 16, 8}}) {
      const std::int64_t T = sizes[0], k = sizes[1], E = sizes[2];
      const std::int32_t n = sizes[3];
      CAPTURE(T);
      BothDevices both;
      Ints order({n}), places({n});
      for (std::int32_t i = 0; i < n; ++i)
        order.values[static_cast<std::size_t>(i)] = places.values[static_cast<std::size_t>(i)] =
            n - 1 - i;
      TwinInts experts(both, random_ints({T, k}, 1, 0, sizes[2] - 1)),
          starts(both, run_starts(n, sizes[0])), on_order(both, order), on_places(both, places),
          keys(both, Ints({T, k}, -9)), rows(both, Ints({T, k}, -9)),
          slots(both, Ints({T * k}, -9)), offsets(both, Ints({n * E + 1}, -9)),
          before(both, Ints({n, E}, -9)), kept(both, Ints({T, k}, -9)), dropped(both, Ints({1}, 3)),
          dropped_alone(both, Ints({1}, 4));
      both.run([&](Device on, Stream& stream) {
        key_runs({.experts = experts.on(on),
                  .starts = starts.on(on),
                  .keys = keys.on(on),
                  .num_experts = E},
                 stream);
        sort_by_expert({.experts = keys.on(on),
                        .rows = rows.on(on),
                        .slots = slots.on(on),
                        .offsets = offsets.on(on)},
                       stream);
        count_before({.all_offsets = offsets.on(on).view({1, n * E + 1}),
                      .order = on_order.on(on),
                      .places = on_places.on(on),
                      .before = before.on(on)},
                     stream);
        drop_ranked({.experts = experts.on(on),
                     .starts = starts.on(on),
                     .rows = rows.on(on),
                     .offsets = offsets.on(on),
                     .before = before.on(on),
                     .kept = kept.on(on),
                     .dropped = dropped.on(on),
                     .dropped_alone = dropped_alone.on(on),
                     .capacity = T * k / E * 4 / 5,
                     .capacity_alone = T * k / E * 4 / 5},
                    stream);
      });
      CHECK(both.repeats());
      CHECK(keys.is_equal());
      CHECK(before.is_equal());
      CHECK(kept.is_equal());
      CHECK(dropped.is_equal());
      CHECK(dropped_alone.is_equal());
    }
  }
}

}  // namespace fulgur
