#include "orchestrator/sweep/report.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>

#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

Candidate candidate(const char* argument, double predicted) {
  return {.arguments = {argument},
          .job = test::small_job(),  // of two ranks
          .step_seconds = 1,
          .tokens_per_second = predicted,
          .memory = 100 << 20};
}

Trial trial(const Candidate& candidate, double tokens_per_second, double error) {
  const double mean = 1 / tokens_per_second;
  return {
      .candidate = &candidate,
      .directory = "trials/a",
      .seconds_per_token = Estimate{{.mean = mean, .standard_error = error * mean, .freedom = 20},
                                    2.1 * error * mean},
      .memory = 80 << 20,
      .loss = 2};
}

TEST_SUITE("orchestrator/sweep/report") {
  TEST_CASE("the fastest comes first, what failed last, and the verdict knows what is sure") {
    const auto slow = candidate("layout.tp=2", 900), fast = candidate("layout.cp=2", 1000),
               near = candidate("layout.ep=2", 1000), broken = candidate("layout.pp=2", 2000);
    Trial failed{.candidate = &broken, .directory = "trials/f", .exit_code = 1};
    std::vector<Trial> trials{failed, trial(slow, 500, 0.01), trial(near, 990, 0.02),
                              trial(fast, 1000, 0.02)};
    sort_trials(trials);
    CHECK(trials[0].candidate == &fast);
    CHECK(trials[1].candidate == &near);
    CHECK(trials[3].candidate == &broken);
    const auto verdict = verdict_text(trials);
    CHECK(verdict.find("fastest: layout.cp=2; really faster than 1 other (p < 0.05)") == 0);
    CHECK(verdict.find("cannot be told from these; more steps would:\n  layout.ep=2 (p = 0.3") !=
          std::string::npos);
    CHECK(trials_text(trials).find("failed with exit code 1: layout.pp=2") != std::string::npos);
    // |500/900 - 1|, |990/1000 - 1|, 0; memory 100 / 80.
    CHECK(accuracy_text(trials).find("15 % off on average, 44 % at worst; memory 25 % and 25 %") !=
          std::string::npos);
  }

  TEST_CASE("programs get every trial, as CSV and as JSON") {
    const auto a = candidate("data.files=[\"x\", y]", 1000);
    const auto broken = candidate("layout.pp=2", 2000);
    const std::vector<Trial> trials{trial(a, 1000, 0.01),
                                    {.candidate = &broken, .directory = "f", .exit_code = 1}};
    const auto csv = trials_csv(trials);
    CHECK(csv.find("\n\"data.files=[\"\"x\"\", y]\",0,1000,") != std::string::npos);
    CHECK(csv.find("\n\"layout.pp=2\",1,,,,2000,") != std::string::npos);
    const auto jsonl = trials_jsonl(trials);
    const auto line = boost::json::parse(jsonl.substr(0, jsonl.find('\n'))).as_object();
    CHECK(line.at("tokens_per_second").to_number<double>() == doctest::Approx(1000));
    CHECK(line.at("predicted").at("memory").to_number<double>() == 100 << 20);
  }

  TEST_CASE("the front has what no other trial beats in both") {
    const auto a = candidate("layout.tp=1", 1), b = candidate("layout.tp=2", 1),
               c = candidate("layout.tp=4", 1);
    auto fast = trial(a, 1000, 0.01), worse = trial(b, 900, 0.01), small = trial(c, 500, 0.01);
    worse.memory = 90 << 20;
    small.memory = 10 << 20;
    const auto svg = pareto_svg({fast, worse, small});
    const auto count = [&](const std::string& text) {
      std::size_t number = 0;
      for (auto at = svg.find(text); at != std::string::npos; at = svg.find(text, at + 1))
        ++number;
      return number;
    };
    CHECK(count("<circle") == 3);
    CHECK(count("fill=\"#d1495b\"") == 2);  // and one of them is beaten
    CHECK(count("<polyline") == 1);
  }
}

}  // namespace
}  // namespace fulgur
