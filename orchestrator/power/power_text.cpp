#include "orchestrator/power/power_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <stdexcept>

#include "orchestrator/cli/usage_error.hpp"

namespace fulgur {
namespace {

Sample sample_of_group(const Group& group) {
  if (group.values.size() < 2) {
    throw UsageError(fmt::format(
        "{} has one run; noise takes two seeds at least, and five to be known to a third",
        group.name));
  }
  return sample_of(group.values);
}

std::optional<std::int64_t> count_for(double effect, double deviation, const Aim& aim) {
  if (!(effect > 0)) return std::nullopt;
  try {
    return needed_count(effect, deviation, aim);
  } catch (const std::range_error&) {
    return std::nullopt;
  }
}

std::string count_text(const std::optional<std::int64_t>& count, const char* what) {
  return count ? fmt::format("{} {}", *count, what) : fmt::format("more {} than can be had", what);
}

std::string verdict_text(const PowerReport& report, const Aim& aim) {
  const auto& test = *report.test;
  std::string text = fmt::format(
      "effect     {:.4g} {}, standard error {:.3g}; with {:g} % confidence better by {:.4g} or "
      "more\n",
      std::abs(test.difference), test.difference < 0 ? "worse" : "better", test.standard_error,
      100 * aim.confidence, test.at_least);
  if (report.noise > 0) {
    text += fmt::format("           {:.2f} times the noise (discrimination)\n",
                        std::abs(test.difference) / report.noise);
  }
  text += fmt::format(
      "verdict    {}: one-sided Welch test, t {:.2f}, {:.1f} degrees of freedom, p {:.3g}\n",
      report.better ? "really better" : "not shown to be better",
      test.standard_error > 0 ? test.difference / test.standard_error : 0.0, test.freedom,
      test.probability);
  return text;
}

}  // namespace

PowerReport analyse(const Experiment& experiment) {
  const auto& aim = experiment.aim;
  PowerReport report;
  report.baseline = sample_of_group(experiment.groups.front());
  report.noise = report.baseline.deviation;
  auto count = report.baseline.count;
  report.wanted = experiment.effect;
  if (experiment.groups.size() > 1) {
    const auto variant = sample_of_group(experiment.groups[1]);
    report.variant = variant;
    report.noise = pooled_deviation(report.baseline, variant);
    count = std::min(count, variant.count);
    report.test = experiment.lower_is_better ? welch_test(report.baseline, variant, aim.confidence)
                                             : welch_test(variant, report.baseline, aim.confidence);
    report.better = report.test->probability < 1 - aim.confidence;
    if (!report.wanted && report.test->difference > 0) report.wanted = report.test->difference;
  }
  report.detectable = detectable_effect(count, report.noise, aim);
  if (report.wanted) report.seeds = count_for(*report.wanted, report.noise, aim);
  if (!experiment.items.empty()) {
    report.items = sample_of(experiment.items);
    report.test_set = count_for(report.noise, report.items->deviation, aim);
  }
  return report;
}

std::string power_text(const Experiment& experiment, const PowerReport& report) {
  const auto& aim = experiment.aim;
  std::string text = fmt::format("{}, {} is better\n", experiment.metric,
                                 experiment.lower_is_better ? "less" : "more");
  for (std::size_t i = 0; i < experiment.groups.size(); ++i) {
    const auto& sample = i == 0 ? report.baseline : *report.variant;
    text += fmt::format("{:<10} {} runs, mean {:.6g}, standard deviation {:.3g}\n",
                        experiment.groups[i].name, sample.count, sample.mean, sample.deviation);
    if (const auto unnamed = experiment.groups[i].without_seed; unnamed > 0)
      text +=
          fmt::format("           {} of them name no seed: no run may be there twice\n", unnamed);
  }
  if (!experiment.changes.empty())
    text +=
        fmt::format("           the variant differs in {}\n", fmt::join(experiment.changes, ", "));
  text += fmt::format("noise      {:.3g} between seeds\n", report.noise);
  if (report.test) text += verdict_text(report, aim);
  text += fmt::format("detectable {:.3g} with these runs ({:g} % confidence, {:g} % power)\n",
                      report.detectable, 100 * aim.confidence, 100 * aim.power);
  if (report.wanted) {
    text += fmt::format("seeds      {} in each group for an effect of {:.4g}\n",
                        count_text(report.seeds, "seeds"), *report.wanted);
  }
  if (report.items) {
    text += fmt::format(
        "test set   {} for an effect as large as the noise; {} are there, standard deviation "
        "{:.3g}\n",
        count_text(report.test_set, "items"), report.items->count, report.items->deviation);
  }
  return text;
}

}  // namespace fulgur
