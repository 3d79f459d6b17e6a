#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

#include "kernels/rotary_impl.hpp"

namespace fulgur::cpu {
namespace {

// Cosines and sines of the angles of one position, [half] each. A position is kStep a + b; the sums
// of angles are taken from the table of the b and from the row of the last a, so there is one call
// of sin and cos per kStep tokens and pair, and the result depends on the position alone.
class Turns {
 public:
  Turns(std::int64_t rotary_dim, double base)
      : half_(static_cast<std::size_t>(rotary_dim / 2)),
        frequency_(half_),
        fine_(2 * std::size_t{kStep} * half_),
        coarse_(2 * half_),
        cosine_(half_),
        sine_(half_) {
    for (std::size_t j = 0; j < half_; ++j)
      frequency_[j] =
          std::pow(base, -2.0 * static_cast<double>(j) / static_cast<double>(rotary_dim));
    for (std::size_t b = 0; b < kStep; ++b)
      fill(static_cast<double>(b), &fine_[2 * b * half_]);
  }

  void move_to(std::int32_t position) {
    const std::int32_t a = position >> kStepBits;  // rounds down, also below zero
    const auto b = static_cast<std::size_t>(position & (kStep - 1));
    if (at_ != a) fill(static_cast<double>(a) * kStep, coarse_.data());
    at_ = a;
    const double *cos_a = coarse_.data(), *sin_a = cos_a + half_;
    const double *cos_b = &fine_[2 * b * half_], *sin_b = cos_b + half_;
    for (std::size_t j = 0; j < half_; ++j) {
      cosine_[j] = static_cast<float>(cos_a[j] * cos_b[j] - sin_a[j] * sin_b[j]);
      sine_[j] = static_cast<float>(sin_a[j] * cos_b[j] + cos_a[j] * sin_b[j]);
    }
  }

  const std::vector<float>& cosine() const { return cosine_; }
  const std::vector<float>& sine() const { return sine_; }

 private:
  static constexpr int kStepBits = 6;
  static constexpr std::int32_t kStep = 1 << kStepBits;

  // row = cosines, then sines.
  void fill(double position, double* row) const {
    for (std::size_t j = 0; j < half_; ++j) {
      row[j] = std::cos(position * frequency_[j]);
      row[half_ + j] = std::sin(position * frequency_[j]);
    }
  }

  std::size_t half_;
  std::vector<double> frequency_;  // [half]
  std::vector<double> fine_;       // [kStep, 2, half]
  std::vector<double> coarse_;     // [2, half], of kStep at_
  std::optional<std::int32_t> at_;
  std::vector<float> cosine_, sine_;  // [half], of the position moved to last
};

void turn(float* x, const Turns& turns, float sign) {
  const auto half = turns.cosine().size();
  const float *cosine = turns.cosine().data(), *sine = turns.sine().data();
  float *first = x, *second = x + half;
#pragma omp simd
  for (std::size_t j = 0; j < half; ++j) {
    const float a = first[j], b = second[j], s = sign * sine[j];
    first[j] = a * cosine[j] - b * s;
    second[j] = a * s + b * cosine[j];
  }
}

}  // namespace

void rotary(const Rotary& args, Stream& stream) {
  stream.run([args] {
    Turns turns(args.rotary_dim, args.base);
    const auto* positions = args.positions.as<std::int32_t>();
    auto* x = args.x.as<float>();
    const float sign = args.direction == RotaryDirection::kForward ? 1.0f : -1.0f;
    for (std::int64_t t = 0; t < args.x.dims[0]; ++t) {
      turns.move_to(positions[t]);
      for (std::int64_t h = 0; h < args.x.dims[1]; ++h)
        turn(x + t * args.x.strides[0] + h * args.x.strides[1], turns, sign);
    }
  });
}

}  // namespace fulgur::cpu
