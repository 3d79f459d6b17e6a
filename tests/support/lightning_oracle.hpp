#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fulgur::test {

// Lightning attention in float64, token by token: S_t = lambda S_{t-1} + k_t^T v_t, o_t = q_t S_t,
// and the derivative of that recurrence. Segment s has the incoming state states_in[s] and the
// gradient dstates_out[s] with respect to its leaving state, both [H, d, d].
struct LightningOracle {
  std::size_t H = 1, d = 1;
  std::vector<std::size_t> starts;             // [S + 1]
  std::vector<double> rate;                    // [H]
  std::vector<double> q, k, v;                 // [T, H, d]
  std::vector<double> states_in;               // [S, H, d, d]
  std::vector<double> o, states_out;           // results
  std::vector<double> dout, dstates_out;       // as o and states_out
  std::vector<double> dq, dk, dv, dstates_in;  // results

  std::size_t num_segments() const { return starts.size() - 1; }

  void forward() {
    o.assign(q.size(), 0);
    states_out.assign(states_in.size(), 0);
    for (std::size_t s = 0; s < num_segments(); ++s)
      for (std::size_t h = 0; h < H; ++h)
        forward_head(s, h);
  }

  // Needs dout and dstates_out.
  void backward() {
    dq.assign(q.size(), 0);
    dk = dv = dq;
    dstates_in.assign(states_in.size(), 0);
    for (std::size_t s = 0; s < num_segments(); ++s)
      for (std::size_t h = 0; h < H; ++h)
        backward_head(s, h);
  }

  // A function of all outputs whose gradients are dout and dstates_out.
  double loss() {
    forward();
    double sum = 0;
    for (std::size_t i = 0; i < o.size(); ++i)
      sum += o[i] * dout[i];
    for (std::size_t i = 0; i < states_out.size(); ++i)
      sum += states_out[i] * dstates_out[i];
    return sum;
  }

 private:
  std::size_t row(std::size_t t, std::size_t h) const { return (t * H + h) * d; }
  std::size_t state(std::size_t s, std::size_t h) const { return (s * H + h) * d * d; }

  // S becomes the state behind token t.
  void step(std::vector<double>& S, std::size_t t, std::size_t h) const {
    const double decay = std::exp(-rate[h]);
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < d; ++j)
        S[i * d + j] = decay * S[i * d + j] + k[row(t, h) + i] * v[row(t, h) + j];
  }
  std::vector<double> load(const std::vector<double>& states, std::size_t s, std::size_t h) const {
    const auto at = states.begin() + static_cast<std::ptrdiff_t>(state(s, h));
    return {at, at + static_cast<std::ptrdiff_t>(d * d)};
  }

  void forward_head(std::size_t s, std::size_t h) {
    auto S = load(states_in, s, h);
    for (std::size_t t = starts[s]; t < starts[s + 1]; ++t) {
      step(S, t, h);
      for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < d; ++j)
          o[row(t, h) + j] += q[row(t, h) + i] * S[i * d + j];
    }
    std::copy(S.begin(), S.end(), states_out.begin() + static_cast<std::ptrdiff_t>(state(s, h)));
  }

  void backward_head(std::size_t s, std::size_t h) {
    auto S = load(states_in, s, h), G = load(dstates_out, s, h);
    for (std::size_t t = starts[s]; t < starts[s + 1]; ++t) {
      step(S, t, h);
      for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < d; ++j)
          dq[row(t, h) + i] += dout[row(t, h) + j] * S[i * d + j];
    }
    const double decay = std::exp(-rate[h]);
    for (std::size_t t = starts[s + 1]; t-- > starts[s];) {
      for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < d; ++j) {
          auto& g = G[i * d + j];  // with respect to S_t
          g += q[row(t, h) + i] * dout[row(t, h) + j];
          dk[row(t, h) + i] += v[row(t, h) + j] * g;
          dv[row(t, h) + j] += k[row(t, h) + i] * g;
          g *= decay;
        }
    }
    std::copy(G.begin(), G.end(), dstates_in.begin() + static_cast<std::ptrdiff_t>(state(s, h)));
  }
};

}  // namespace fulgur::test
