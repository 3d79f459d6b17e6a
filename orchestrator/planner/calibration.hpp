#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "recipes/cost/hardware.hpp"
#include "recipes/cost/rank_shape.hpp"

namespace fulgur {

// What a run on the hardware took: its Job and its metrics (docs/formats/metrics.md).
struct MeasuredRun {
  std::filesystem::path path;
  Job job;
  double step_seconds = 0;                  // the median, without the first steps
  std::vector<std::int64_t> expert_counts;  // of all those steps, [layers, experts]
};

// Reads a run directory. Throws UsageError where it is none, or has fewer than kLeastSteps steps.
inline constexpr std::size_t kLeastSteps = 5;
MeasuredRun read_measured_run(const std::filesystem::path& path);

// Rows that the fullest of `ep` ranks gets over the mean, the mean over the layers: what
// Assumptions::imbalance is for that many ranks. Counts of whole steps are more even than those of
// micro-batches. REQUIRES: ep divides `experts`, which divides counts.size().
double measured_imbalance(std::span<const std::int64_t> counts, std::int64_t experts, int ep);

// Efficiencies fitted to runs: one factor for all of them, with which the predicted times of the runs'
// steps are right in the geometric mean. Links keep their figures.
struct Calibration {
  double factor = 1;
  std::vector<double> before, after;  // [runs] predicted over measured
};
Calibration calibrate(std::span<const MeasuredRun> runs, const Hardware& hardware,
                      const Assumptions& assumptions);

// The hardware with all efficiencies times a factor.
Hardware scaled(const Hardware& hardware, double factor);

}  // namespace fulgur
