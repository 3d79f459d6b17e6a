#include "orchestrator/planner/calibration.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cluster/hardware/catalogue.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "recipes/cost/step_time.hpp"
#include "recipes/job_json.hpp"
#include "tests/recipes/some_jobs.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

// A run whose steps take what `hardware` is predicted to take.
MeasuredRun run_on(const Hardware& hardware, std::int64_t hidden) {
  MeasuredRun run{.path = "run", .job = test::small_job()};
  run.job.model.hidden = hidden;
  const Cluster machine{hardware, hardware.devices_per_node};
  run.step_seconds = step_time(run.job, machine, {.imbalance = 1}).seconds;
  return run;
}

void write_run(const std::filesystem::path& path, int steps) {
  std::filesystem::create_directories(path);
  std::ofstream(path / "recipe.resolved.json") << to_json(test::small_job()) << "\n";
  std::ofstream metrics(path / "metrics.jsonl");
  for (int step = 1; step <= steps; ++step) {
    // The first two steps are slow, and do not count.
    metrics << "{\"step\":" << step << ",\"seconds\":" << (step <= 2 ? 9.0 : step * 0.5)
            << ",\"expert_counts\":[4,2,1,1]}\n";
  }
}

}  // namespace

TEST_SUITE("orchestrator/planner") {
  TEST_CASE("calibration finds the factor that a machine is faster by") {
    const auto catalogue = find_cluster("cpu").hardware;
    for (const double factor : {0.25, 0.9, 3.0}) {
      const auto real = scaled(catalogue, factor);
      const std::vector<MeasuredRun> runs{run_on(real, 64), run_on(real, 512)};
      const auto calibration = calibrate(runs, catalogue, {.imbalance = 1});
      CHECK(calibration.factor == doctest::Approx(factor).epsilon(1e-3));
      CHECK((calibration.before[1] > 1) == (factor > 1));
      CHECK(calibration.after[0] == doctest::Approx(1).epsilon(1e-3));
      CHECK(calibration.after[1] == doctest::Approx(1).epsilon(1e-3));
    }
  }

  TEST_CASE("runs that disagree are met in the middle") {
    const auto catalogue = find_cluster("cpu").hardware;
    auto fast = run_on(catalogue, 512), slow = fast;
    fast.step_seconds /= 2;
    slow.step_seconds *= 2;
    const std::vector<MeasuredRun> runs{fast, slow};
    const auto calibration = calibrate(runs, catalogue, {.imbalance = 1});
    CHECK(calibration.factor == doctest::Approx(1).epsilon(0.01));
    CHECK(calibration.after[0] * calibration.after[1] == doctest::Approx(1).epsilon(0.01));
  }

  TEST_CASE("imbalance is that of the fullest rank, and the mean of the layers") {
    const std::vector<std::int64_t> counts{4, 2, 1, 1, 2, 2, 2, 2};
    CHECK(measured_imbalance(counts, 4, 4) == doctest::Approx((4.0 * 4 / 8 + 1) / 2));
    CHECK(measured_imbalance(counts, 4, 2) == doctest::Approx((6.0 * 2 / 8 + 1) / 2));
    CHECK(measured_imbalance(counts, 4, 1) == 1);
  }

  TEST_CASE("a run is read without its first steps") {
    const test::TemporaryDirectory folder;
    write_run(folder.path() / "run", 5);
    const auto run = read_measured_run(folder.path() / "run");
    CHECK(run.step_seconds == 2.0);  // of 1.5, 2, 2.5
    CHECK(run.expert_counts == std::vector<std::int64_t>{12, 6, 3, 3});
    CHECK(run.job == test::small_job());
  }

  TEST_CASE("what is no run, or a short one, is wrong usage") {
    const test::TemporaryDirectory folder;
    CHECK_THROWS_AS(read_measured_run(folder.path()), UsageError);
    write_run(folder.path() / "short", 4);
    CHECK_THROWS_AS(read_measured_run(folder.path() / "short"), UsageError);
    write_run(folder.path() / "torn", 6);
    std::ofstream(folder.path() / "torn" / "metrics.jsonl") << "{\"step\":1,";
    CHECK_THROWS_AS(read_measured_run(folder.path() / "torn"), UsageError);
  }
}

}  // namespace fulgur
