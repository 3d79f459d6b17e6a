#pragma once

#include <cstdint>
#include <span>

namespace fulgur {

// Independent values of the same kind, drawn from a normal distribution.
struct Sample {
  std::int64_t count = 0;
  double mean = 0;
  double deviation = 0;  // standard deviation, with count - 1; 0 for one value
};

// REQUIRES: values are not empty and finite.
Sample sample_of(std::span<const double> values);

// The standard deviation that both have, their means being free: sqrt(sum of (n_i - 1) s_i^2 over the sum
// of n_i - 1). REQUIRES: three values or more.
double pooled_deviation(const Sample& a, const Sample& b);

// A mean of measurements, and how sure it is.
struct MeanEstimate {
  double mean = 0;
  double standard_error = 0;
  double freedom = 0;  // degrees of freedom behind the standard error
};

// Welch's test of "the mean of a is above that of b", one-sided; deviations may differ.
//
//   difference      a.mean - b.mean
//   standard_error  sqrt(e_a^2 + e_b^2); e_i = s_i / sqrt(n_i), with n_i - 1 degrees, for independent values
//   freedom         degrees of freedom after Welch and Satterthwaite
//   probability     of a difference as large as this one or larger if the means are equal
//   at_least        lower bound of the true difference, which holds with `confidence`
//
// REQUIRES: two values or more in each; freedom > 0.
struct Welch {
  double difference = 0;
  double standard_error = 0;
  double freedom = 0;
  double probability = 0;
  double at_least = 0;
};
Welch welch_test(const MeanEstimate& a, const MeanEstimate& b, double confidence);
Welch welch_test(const Sample& a, const Sample& b, double confidence);

// What a test is to achieve: how seldom equal means are taken for different ones (1 - confidence), and
// how often means that do differ are found out (power).
struct Aim {
  double confidence = 0.95;
  double power = 0.8;
};

// The power of the one-sided t test with two samples of `count` values each whose means are `effect`
// apart: P(T > t), T of noncentral t distribution with 2 count - 2 degrees of freedom and noncentrality
// effect / deviation * sqrt(count / 2), and t the quantile of the central one at `confidence`.
// REQUIRES: count >= 2, deviation > 0.
double test_power(std::int64_t count, double effect, double deviation, double confidence);

// The smallest effect that two samples of `count` values each find as often as `aim` asks. For large
// counts it is (z(confidence) + z(power)) * deviation * sqrt(2 / count), with z the normal quantile.
// REQUIRES: count >= 2, deviation >= 0.
double detectable_effect(std::int64_t count, double deviation, const Aim& aim);

// The smallest number of values in each of two samples with which an effect is found as often as `aim`
// asks; 2 at least. For small effects it is 2 (z(confidence) + z(power))^2 (deviation / effect)^2.
// Throws std::range_error when it is over 1e15. REQUIRES: effect > 0, deviation >= 0.
std::int64_t needed_count(double effect, double deviation, const Aim& aim);

}  // namespace fulgur
