#include "orchestrator/planner/calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/run/text_file.hpp"
#include "recipes/cost/step_time.hpp"
#include "recipes/job_json.hpp"
#include "recipes/layout.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

constexpr std::size_t kWarmUp = 2;  // steps
constexpr double kMostFactor = 64;  // either way

std::string text_of(const std::filesystem::path& path) {
  auto text = text_of_file(path);
  if (!text) throw UsageError(fmt::format("{} cannot be read: is it a run?", path.string()));
  return *std::move(text);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void add_counts(const json::value& line, std::vector<std::int64_t>& sum) {
  const auto& counts = line.at("expert_counts").as_array();
  sum.resize(counts.size());
  for (std::size_t i = 0; i < counts.size(); ++i)
    sum[i] += counts[i].to_number<std::int64_t>();
}

void read_metrics(const std::string& text, MeasuredRun& run) {
  std::istringstream lines(text);
  std::vector<double> seconds;
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto step = json::parse(line);
    if (++number <= kWarmUp) continue;
    seconds.push_back(step.at("seconds").to_number<double>());
    add_counts(step, run.expert_counts);
  }
  if (number < kLeastSteps) {
    throw UsageError(fmt::format("{} has {} steps; at least {} are needed", run.path.string(),
                                 number, kLeastSteps));
  }
  run.step_seconds = median(std::move(seconds));
}

// The logarithms of predicted over measured.
std::vector<double> errors(std::span<const MeasuredRun> runs, const Hardware& hardware,
                           const Assumptions& assumptions) {
  std::vector<double> result;
  for (const auto& run : runs) {
    const int devices = hardware.device == DeviceKind::kCpu ? hardware.devices_per_node
                                                            : world_size(run.job.layout);
    auto of_run = assumptions;
    if (!run.expert_counts.empty())
      of_run.imbalance =
          measured_imbalance(run.expert_counts, run.job.model.experts, run.job.layout.ep);
    const double predicted = step_time(run.job, {hardware, devices}, of_run).seconds;
    result.push_back(std::log(predicted / run.step_seconds));
  }
  return result;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> ratios(std::vector<double> logarithms) {
  for (auto& value : logarithms)
    value = std::exp(value);
  return logarithms;
}

}  // namespace

MeasuredRun read_measured_run(const std::filesystem::path& path) {
  MeasuredRun run{.path = path, .job = {}};
  try {
    run.job = job_from_json(text_of(path / "recipe.resolved.json"));
    read_metrics(text_of(path / "metrics.jsonl"), run);
  } catch (const UsageError&) {
    throw;
  } catch (const std::exception& error) {
    throw UsageError(fmt::format("{} is no run that can be read: {}", path.string(), error.what()));
  }
  return run;
}

double measured_imbalance(std::span<const std::int64_t> counts, std::int64_t experts, int ep) {
  const auto per_layer = static_cast<std::size_t>(experts);
  const auto per_rank = per_layer / static_cast<std::size_t>(ep);
  double sum = 0;
  std::size_t layers = 0;
  for (std::size_t begin = 0; begin + per_layer <= counts.size(); begin += per_layer) {
    std::int64_t all = 0, most = 0;
    for (std::size_t rank = 0; rank < per_layer; rank += per_rank) {
      const auto first = counts.begin() + static_cast<std::ptrdiff_t>(begin + rank);
      const auto rows =
          std::accumulate(first, first + static_cast<std::ptrdiff_t>(per_rank), std::int64_t{0});
      all += rows;
      most = std::max(most, rows);
    }
    if (all == 0) continue;
    sum += static_cast<double>(most) * ep / static_cast<double>(all);
    ++layers;
  }
  return layers == 0 ? 1 : sum / static_cast<double>(layers);
}

Hardware scaled(const Hardware& hardware, double factor) {
  auto result = hardware;
  auto& e = result.efficiency;
  for (double* each : {&e.matmul, &e.grouped_matmul, &e.softmax_forward, &e.softmax_backward,
                       &e.lightning_forward, &e.lightning_backward, &e.memory})
    *each *= factor;
  return result;
}

// A prediction falls as efficiencies grow, so bisection finds the factor.
Calibration calibrate(std::span<const MeasuredRun> runs, const Hardware& hardware,
                      const Assumptions& assumptions) {
  double low = 1 / kMostFactor, high = kMostFactor;
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    const bool slow = mean(errors(runs, scaled(hardware, middle), assumptions)) > 0;
    (slow ? low : high) = middle;
  }
  const double factor = std::sqrt(low * high);
  return {.factor = factor,
          .before = ratios(errors(runs, hardware, assumptions)),
          .after = ratios(errors(runs, scaled(hardware, factor), assumptions))};
}

}  // namespace fulgur
