#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace fulgur::test {

// Softmax attention in float64, query by query, and its derivative. `sees(i, j)` of the spans
// decides which keys a query has.
struct SoftmaxOracle {
  struct Span {
    std::int64_t q_begin, q_end, k_begin, k_end, shift;
  };

  std::int64_t T = 0, S = 0, H = 1, G = 1, d = 1;
  double scale = 1;
  std::vector<Span> spans;
  std::vector<double> q, k, v;     // [T, H, d], [S, G, d]
  std::vector<double> o, lse;      // results: [T, H, d], [T, H]
  std::vector<double> dout;        // [T, H, d]
  std::vector<double> dq, dk, dv;  // results

  bool sees(std::int64_t i, std::int64_t j) const {
    for (const auto& span : spans) {
      if (i >= span.q_begin && i < span.q_end && j >= span.k_begin && j < span.k_end &&
          j - span.k_begin <= i - span.q_begin + span.shift) {
        return true;
      }
    }
    return false;
  }

  void forward() {
    o.assign(q.size(), 0);
    lse.assign(static_cast<std::size_t>(T * H), -std::numeric_limits<double>::infinity());
    for (std::int64_t i = 0; i < T; ++i)
      for (std::int64_t h = 0; h < H; ++h)
        forward_query(i, h);
  }

  // Needs dout; calculates o and lse first.
  void backward() {
    forward();
    dq.assign(q.size(), 0);
    dk.assign(k.size(), 0);
    dv = dk;
    for (std::int64_t i = 0; i < T; ++i)
      for (std::int64_t h = 0; h < H; ++h)
        backward_query(i, h);
  }

  double loss() {
    forward();
    double sum = 0;
    for (std::size_t n = 0; n < o.size(); ++n)
      sum += o[n] * dout[n];
    return sum;
  }

 private:
  std::size_t q_at(std::int64_t i, std::int64_t h) const {
    return static_cast<std::size_t>((i * H + h) * d);
  }
  std::size_t k_at(std::int64_t j, std::int64_t h) const {
    return static_cast<std::size_t>((j * G + h / (H / G)) * d);
  }
  std::size_t size() const { return static_cast<std::size_t>(d); }

  double score(std::int64_t i, std::int64_t j, std::int64_t h) const {
    double sum = 0;
    for (std::size_t c = 0; c < size(); ++c)
      sum += q[q_at(i, h) + c] * k[k_at(j, h) + c];
    return scale * sum;
  }

  void forward_query(std::int64_t i, std::int64_t h) {
    double maximum = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::int64_t j = 0; j < S; ++j)
      if (sees(i, j)) maximum = std::max(maximum, score(i, j, h));
    for (std::int64_t j = 0; j < S; ++j) {
      if (!sees(i, j)) continue;
      const double weight = std::exp(score(i, j, h) - maximum);
      sum += weight;
      for (std::size_t c = 0; c < size(); ++c)
        o[q_at(i, h) + c] += weight * v[k_at(j, h) + c];
    }
    if (sum == 0) return;
    for (std::size_t c = 0; c < size(); ++c)
      o[q_at(i, h) + c] /= sum;
    lse[static_cast<std::size_t>(i * H + h)] = maximum + std::log(sum);
  }

  void backward_query(std::int64_t i, std::int64_t h) {
    const auto at = q_at(i, h);
    double delta = 0;
    for (std::size_t c = 0; c < size(); ++c)
      delta += dout[at + c] * o[at + c];
    for (std::int64_t j = 0; j < S; ++j) {
      if (!sees(i, j)) continue;
      const auto key = k_at(j, h);
      const double p = std::exp(score(i, j, h) - lse[static_cast<std::size_t>(i * H + h)]);
      double dp = 0;
      for (std::size_t c = 0; c < size(); ++c) {
        dp += dout[at + c] * v[key + c];
        dv[key + c] += p * dout[at + c];
      }
      const double ds = scale * p * (dp - delta);
      for (std::size_t c = 0; c < size(); ++c) {
        dq[at + c] += ds * k[key + c];
        dk[key + c] += ds * q[at + c];
      }
    }
  }
};

}  // namespace fulgur::test
