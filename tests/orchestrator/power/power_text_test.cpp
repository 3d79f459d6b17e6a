#include "orchestrator/power/power_text.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "orchestrator/cli/usage_error.hpp"

namespace fulgur {
namespace {

Experiment losses(const std::vector<double>& baseline, const std::vector<double>& variant) {
  Experiment experiment;
  experiment.metric = "loss";
  experiment.groups = {{.name = "baseline", .runs = {}, .values = baseline},
                       {.name = "variant", .runs = {}, .values = variant}};
  return experiment;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("orchestrator/power/power_text") {
  TEST_CASE("a variant is better in the direction of the metric alone") {
    auto experiment = losses({3.0, 3.1, 2.9, 3.0}, {2.5, 2.6, 2.4, 2.5});
    const auto lower = analyse(experiment);
    CHECK(lower.better);
    CHECK(lower.test->difference == doctest::Approx(0.5));
    CHECK(lower.noise == doctest::Approx(std::sqrt(0.02 / 3)));
    CHECK(lower.wanted == doctest::Approx(0.5));
    CHECK(lower.seeds == needed_count(0.5, lower.noise, {}));
    CHECK(contains(power_text(experiment, lower), "really better"));
    CHECK(contains(power_text(experiment, lower), "0.5 better, "));
    experiment.lower_is_better = false;
    const auto higher = analyse(experiment);
    CHECK_FALSE(higher.better);
    CHECK_FALSE(higher.seeds);  // there is no effect to find
    CHECK(contains(power_text(experiment, higher), "not shown to be better"));
    CHECK(contains(power_text(experiment, higher), "0.5 worse, "));
  }

  TEST_CASE("runs that name no seed are told") {
    auto experiment = losses({3.0, 3.1}, {2.5, 2.6});
    const auto report = analyse(experiment);
    CHECK_FALSE(contains(power_text(experiment, report), "seed:"));
    experiment.groups[1].without_seed = 2;
    CHECK(contains(power_text(experiment, report), "2 of them name no seed"));
  }

  TEST_CASE("what noise can explain is not shown to be better") {
    const auto experiment = losses({3.0, 3.4, 2.7}, {2.9, 3.2, 2.6});
    const auto report = analyse(experiment);
    CHECK_FALSE(report.better);
    CHECK(report.test->difference > 0);
    CHECK(report.test->difference < report.detectable);
    CHECK(*report.seeds > 3);
  }

  TEST_CASE("a verdict asks for the confidence that was named") {
    auto experiment = losses({3.0, 3.1, 2.9}, {2.8, 2.9, 2.7});
    const auto report = analyse(experiment);
    CHECK(report.better);  // t = 2.449 with 4 degrees: p = 0.0353
    CHECK(report.test->probability == doctest::Approx(0.0353).epsilon(0.005));
    experiment.aim.confidence = 0.97;
    CHECK_FALSE(analyse(experiment).better);
  }

  TEST_CASE("a test set is enough when what it detects is the noise of seeds") {
    Experiment experiment = losses({0.50, 0.52}, {});
    experiment.groups.pop_back();
    experiment.lower_is_better = false;
    experiment.items = {0, 1, 0, 1};
    experiment.effect = 0.1;
    const auto report = analyse(experiment);
    const double noise = 0.01 * std::sqrt(2.0), deviation = std::sqrt(1.0 / 3);
    CHECK(report.noise == doctest::Approx(noise));
    CHECK_FALSE(report.test);
    // 2 (1.644854 + 0.841621)^2 = 12.36511
    CHECK(static_cast<double>(*report.test_set) ==
          doctest::Approx(12.36511 * std::pow(deviation / noise, 2)).epsilon(1e-3));
    CHECK(detectable_effect(*report.test_set, deviation, {}) <= report.noise);
    CHECK(report.seeds == needed_count(0.1, noise, {}));
    CHECK(contains(power_text(experiment, report), "items for an effect as large as the noise"));
  }

  TEST_CASE("a single run shows no noise") {
    CHECK_THROWS_AS(analyse(losses({3.0}, {2.0, 2.1})), UsageError);
    CHECK_THROWS_AS(analyse(losses({3.0, 3.1}, {2.0})), UsageError);
    // Runs that agree to the last bit have none, so any effect is found, and none is as small as it.
    Experiment experiment = losses({3.0, 3.0}, {2.0, 2.0});
    experiment.items = {0, 1};
    const auto report = analyse(experiment);
    CHECK(report.better);
    CHECK(report.seeds == 2);
    CHECK_FALSE(report.test_set);
    CHECK(contains(power_text(experiment, report), "more items than can be had"));
  }
}

}  // namespace fulgur
