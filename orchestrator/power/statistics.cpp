#include "orchestrator/power/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/non_central_t.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace fulgur {
namespace {

constexpr double kMostValues = 1e15;

// From here on t and normal distribution differ by less than 1e-5 in power.
constexpr std::int64_t kLargeCount = 100'000;

double square(double value) {
  return value * value;
}

double normal_quantile(double probability) {
  return boost::math::quantile(boost::math::normal_distribution<>(), probability);
}

double quantiles(const Aim& aim) {
  return normal_quantile(aim.confidence) + normal_quantile(aim.power);
}

MeanEstimate mean_of(const Sample& sample) {
  const auto count = static_cast<double>(sample.count);
  return {.mean = sample.mean,
          .standard_error = sample.deviation / std::sqrt(count),
          .freedom = count - 1};
}

}  // namespace

Sample sample_of(std::span<const double> values) {
  Sample sample{.count = static_cast<std::int64_t>(values.size())};
  const auto count = static_cast<double>(values.size());
  sample.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  if (values.size() < 2) return sample;
  double squares = 0;
  for (const double value : values)
    squares += square(value - sample.mean);
  sample.deviation = std::sqrt(squares / (count - 1));
  return sample;
}

double pooled_deviation(const Sample& a, const Sample& b) {
  const auto freedom_a = static_cast<double>(a.count - 1);
  const auto freedom_b = static_cast<double>(b.count - 1);
  return std::sqrt((freedom_a * square(a.deviation) + freedom_b * square(b.deviation)) /
                   (freedom_a + freedom_b));
}

Welch welch_test(const MeanEstimate& a, const MeanEstimate& b, double confidence) {
  const double part_a = square(a.standard_error);
  const double part_b = square(b.standard_error);
  Welch test{.difference = a.mean - b.mean, .standard_error = std::sqrt(part_a + part_b)};
  if (test.standard_error == 0) {  // without any noise the difference is what it is
    test.freedom = a.freedom + b.freedom;
    test.probability = test.difference > 0 ? 0 : test.difference < 0 ? 1 : 0.5;
    test.at_least = test.difference;
    return test;
  }
  test.freedom =
      square(part_a + part_b) / (square(part_a) / a.freedom + square(part_b) / b.freedom);
  const boost::math::students_t_distribution<> distribution(test.freedom);
  test.probability = boost::math::cdf(
      boost::math::complement(distribution, test.difference / test.standard_error));
  test.at_least =
      test.difference - boost::math::quantile(distribution, confidence) * test.standard_error;
  return test;
}

Welch welch_test(const Sample& a, const Sample& b, double confidence) {
  return welch_test(mean_of(a), mean_of(b), confidence);
}

double test_power(std::int64_t count, double effect, double deviation, double confidence) {
  const double shift = effect / deviation * std::sqrt(static_cast<double>(count) / 2);
  if (count >= kLargeCount) {
    return boost::math::cdf(boost::math::normal_distribution<>(),
                            shift - normal_quantile(confidence));
  }
  const auto freedom = static_cast<double>(2 * count - 2);
  const double limit =
      boost::math::quantile(boost::math::students_t_distribution<>(freedom), confidence);
  return boost::math::cdf(
      boost::math::complement(boost::math::non_central_t_distribution<>(freedom, shift), limit));
}

// The power grows with the effect, so bisection finds it: in units of the deviation.
double detectable_effect(std::int64_t count, double deviation, const Aim& aim) {
  double low = 0, high = quantiles(aim) * std::sqrt(2 / static_cast<double>(count));
  while (test_power(count, high, 1, aim.confidence) < aim.power)
    high *= 2;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    const bool found = test_power(count, middle, 1, aim.confidence) >= aim.power;
    (found ? high : low) = middle;
  }
  return high * deviation;
}

// The t distribution asks for a few values more than the normal one.
std::int64_t needed_count(double effect, double deviation, const Aim& aim) {
  const double least = 2 * square(quantiles(aim) * deviation / effect);
  if (!(least <= kMostValues)) throw std::range_error("more than 1e15 values would be needed");
  auto count = std::max(std::int64_t{2}, static_cast<std::int64_t>(std::ceil(least)));
  while (deviation > 0 && test_power(count, effect, deviation, aim.confidence) < aim.power)
    ++count;
  return count;
}

}  // namespace fulgur
