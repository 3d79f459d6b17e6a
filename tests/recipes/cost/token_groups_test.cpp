#include "recipes/cost/token_groups.hpp"

#include <doctest/doctest.h>

#include "recipes/cost/layer_time.hpp"
#include "tests/recipes/cost/some_hardware.hpp"
#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

// One layer of MiniMax-Text-01 with 8192 tokens a rank over ep = 8, in milliseconds.
ExchangeTimes over_nvlink() {
  return {.dispatch = 0.503, .combine = 0.503, .experts = 7.05, .alpha = 0.020, .rows = 4096};
}
ExchangeTimes over_network() {
  return {.dispatch = 3.9, .combine = 3.9, .experts = 7.9, .alpha = 0.020, .rows = 4096};
}

double exposed(const ExchangeTimes& times, std::int64_t groups) {
  return exchange_seconds(times, groups) - times.experts;
}

}  // namespace

TEST_SUITE("recipes/cost") {
  TEST_CASE("the exposed time of token groups is what was worked out by hand") {
    const double by_hand[][3] = {{1, 1.05, 7.9}, {2, 0.54, 3.9}, {4, 0.29, 2.0}, {8, 0.17, 1.2}};
    for (const auto& each : by_hand) {
      const auto groups = static_cast<std::int64_t>(each[0]);
      CAPTURE(groups);
      CHECK(exposed(over_nvlink(), groups) == doctest::Approx(each[1]).epsilon(0.05));
      CHECK(exposed(over_network(), groups) == doctest::Approx(each[2]).epsilon(0.05));
    }
  }

  TEST_CASE("more groups are better until small products cost more than they hide") {
    auto times = over_nvlink();
    CHECK(best_token_groups(times, 64) == 64);  // full products: one part in G of 1 ms is exposed
    times.half_rows = 64;
    const auto best = best_token_groups(times, 64);
    CHECK(best > 1);
    CHECK(best < 16);
    times.half_rows = 4096;
    CHECK(best_token_groups(times, 64) == 1);
    CHECK(best_token_groups(over_network(), 2) == 2);
  }

  TEST_CASE("links that are shared leave less to hide") {
    auto apart = over_network();
    apart.gather = apart.scatter = 3;
    auto shared = apart;
    shared.one_link = true;
    CHECK(exchange_seconds(shared, 4) > exchange_seconds(apart, 4));
    CHECK(exchange_seconds(shared, 1) == exchange_seconds(apart, 1));
  }

  TEST_CASE("the model and the schedule of the streams agree where products take longest") {
    auto job = test::small_job();
    job.model = test::minimax_text_01();
    job.layout = {.dp = 8, .ep = 8};
    job.train.sequence_length = 8192;
    job.train.micro_batch = 8;
    job.train.precision = Precision::kBFloat16;
    auto hardware = test::round_hardware();
    hardware.memory_bandwidth = 1e30;  // element-wise operations are no part of the model
    const Rates rates{hardware, job.train.precision};
    const auto times = exchange_times(job, hardware, 1);
    CHECK(times.experts > times.dispatch + times.combine);
    for (const std::int64_t groups : {1, 2, 4, 8}) {
      CAPTURE(groups);
      job.experts.token_groups = groups;
      PassClock clock(rates, job.layout);
      time_experts_forward(clock, rank_shape(job), 1);
      const double scheduled = clock.time()[Part::kExperts] + clock.time()[Part::kEpWait];
      CHECK(scheduled == doctest::Approx(exchange_seconds(times, groups)).epsilon(0.01));
    }
  }

  TEST_CASE("jobs whose experts lie on one rank have one token group") {
    auto job = test::small_job();
    CHECK(best_token_groups(job, test::round_hardware(), 1.2) == 1);
  }
}

}  // namespace fulgur
