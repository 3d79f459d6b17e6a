#pragma once

#include <cmath>
#include <vector>

#include "tests/support/host_tensor.hpp"

namespace fulgur::test {

// The experts of a layer on all tokens of a stage: what goes in and what comes out.
struct ExpertInputs {
  Floats x, weights, dout, w13, w2;  // [T, C], [T, k], [T, C], [E, 2, F, C], [E, C, F]
  Ints experts;                      // [T, k]

  std::int64_t num_tokens() const { return x.dims()[0]; }
  std::int64_t width() const { return x.dims()[1]; }
  std::int64_t k() const { return experts.dims()[1]; }
  std::int64_t num_experts() const { return w2.dims()[0]; }
  std::int64_t inner() const { return w2.dims()[2]; }
};
template <class T>
struct ExpertResults {
  std::vector<T> out, dx, dweights, dw13, dw2;
};

inline ExpertInputs random_expert_inputs(std::int64_t T, std::int64_t C, std::int64_t k,
                                         std::int64_t E, std::int64_t F) {
  return {.x = random_floats({T, C}, 1),
          .weights = random_floats({T, k}, 2, 0.1f, 1.0f),
          .dout = random_floats({T, C}, 3),
          .w13 = random_floats({E, 2, F, C}, 4),
          .w2 = random_floats({E, C, F}, 5),
          .experts = random_ints({T, k}, 6, -1, static_cast<std::int32_t>(E) - 1)};
}

// One assignment at a time, in float64 (docs/math.md 1.3), and its derivatives by the chain rule.
class ExpertOracle {
 public:
  explicit ExpertOracle(const ExpertInputs& in) : in_(in) {
    results_ = {.out = std::vector<double>(in.x.values.size()),
                .dx = std::vector<double>(in.x.values.size()),
                .dweights = std::vector<double>(in.weights.values.size()),
                .dw13 = std::vector<double>(in.w13.values.size()),
                .dw2 = std::vector<double>(in.w2.values.size())};
    for (std::size_t a = 0; a < in.experts.values.size(); ++a) {
      if (in.experts.values[a] >= 0) assignment(a);
    }
  }
  const ExpertResults<double>& results() const { return results_; }

 private:
  void assignment(std::size_t a) {
    const auto C = size(in_.width()), F = size(in_.inner());
    const auto t = a / size(in_.k()), e = size(in_.experts.values[a]);
    const auto weight = double{in_.weights.values[a]};
    const auto w1 = e * 2 * F * C, w3 = w1 + F * C, w2 = e * C * F;
    for (std::size_t f = 0; f < F; ++f) {
      double gate = 0, up = 0, dh = 0;
      for (std::size_t c = 0; c < C; ++c) {
        gate += x(t, c) * in_.w13.values[w1 + f * C + c];
        up += x(t, c) * in_.w13.values[w3 + f * C + c];
        dh += weight * dout(t, c) * in_.w2.values[w2 + c * F + f];
      }
      const auto s = 1 / (1 + std::exp(-gate)), silu = gate * s;
      const auto dgate = dh * up * s * (1 + gate * (1 - s)), dup = dh * silu;
      for (std::size_t c = 0; c < C; ++c) {
        const auto y = in_.w2.values[w2 + c * F + f] * silu * up;
        results_.out[t * C + c] += weight * y;
        results_.dweights[a] += dout(t, c) * y;
        results_.dw2[w2 + c * F + f] += weight * dout(t, c) * silu * up;
        results_.dw13[w1 + f * C + c] += dgate * x(t, c);
        results_.dw13[w3 + f * C + c] += dup * x(t, c);
        results_.dx[t * C + c] +=
            dgate * in_.w13.values[w1 + f * C + c] + dup * in_.w13.values[w3 + f * C + c];
      }
    }
  }
  static std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }
  double x(std::size_t t, std::size_t c) const { return in_.x.values[t * size(in_.width()) + c]; }
  double dout(std::size_t t, std::size_t c) const {
    return in_.dout.values[t * size(in_.width()) + c];
  }

  const ExpertInputs& in_;
  ExpertResults<double> results_;
};

}  // namespace fulgur::test
