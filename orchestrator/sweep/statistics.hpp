#pragma once

#include <span>

#include "orchestrator/power/statistics.hpp"

namespace fulgur {

// A mean of measurements that follow one another.
struct Estimate : MeanEstimate {
  double half_width = 0;  // of the 95 % confidence interval (Student's t)
};

// Neighbouring steps are alike: n values with the correlation r between neighbours say as much as
// n (1 - r) / (1 + r) independent ones (a first-order autoregression), at least 2; a negative r counts as
// none. REQUIRES: two values at least.
Estimate estimate(std::span<const double> values);

// The probability to see `smaller` this much below `larger`, or more, if its true mean were no smaller:
// Welch's one-sided test.
double p_value_smaller(const Estimate& smaller, const Estimate& larger);

}  // namespace fulgur
