#include "orchestrator/sweep/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

namespace fulgur {
namespace {

using boost::math::students_t;

constexpr double kLevel = 0.95;

}  // namespace

Estimate estimate(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  Estimate result;
  result.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0, neighbours = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double off = values[i] - result.mean;
    squares += off * off;
    if (i > 0) neighbours += off * (values[i - 1] - result.mean);
  }
  const double correlation = squares > 0 ? std::max(neighbours / squares, 0.0) : 0;
  const double independent = std::max(2.0, n * (1 - correlation) / (1 + correlation));
  result.standard_error = std::sqrt(squares / (n - 1) / independent);
  result.freedom = independent - 1;
  result.half_width =
      result.standard_error * quantile(students_t(result.freedom), (1 + kLevel) / 2);
  return result;
}

double p_value_smaller(const Estimate& smaller, const Estimate& larger) {
  const bool sure = smaller.standard_error == 0 && larger.standard_error == 0;
  if (sure) return smaller.mean < larger.mean ? 0 : 1;  // equal means are no reason to choose one
  return welch_test(larger, smaller, kLevel).probability;
}

}  // namespace fulgur
