#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/router_impl.hpp"
#include "kernels/vector_math.hpp"

namespace fulgur::cpu {
namespace {

void softmax(const float* logits, std::int64_t E, float* p) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (std::int64_t e = 0; e < E; ++e)
    largest = logits[e] > largest ? logits[e] : largest;
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t e = 0; e < E; ++e) {
    p[e] = vector_exp(logits[e] - largest);
    sum += static_cast<double>(p[e]);
  }
  const auto factor = static_cast<float>(1.0 / sum);
#pragma omp simd
  for (std::int64_t e = 0; e < E; ++e)
    p[e] *= factor;
}

// The best expert that is not yet among the `chosen`; the lowest of them when p has no order (NaN).
std::int32_t next_best(const float* p, std::int64_t E, const std::int32_t* chosen, std::int64_t j) {
  std::int64_t best = -1;
  for (std::int64_t e = 0; e < E; ++e) {
    if (best >= 0 && !(p[e] > p[best])) continue;
    if (std::find(chosen, chosen + j, e) == chosen + j) best = e;
  }
  return static_cast<std::int32_t>(best);
}

void choose(const float* p, std::int64_t E, std::int64_t k, std::int32_t* experts) {
  for (std::int64_t j = 0; j < k; ++j)
    experts[j] = next_best(p, E, experts, j);
}

void weigh(const float* p, std::int64_t k, const std::int32_t* experts, float* weights) {
  double sum = 0;
  for (std::int64_t j = 0; j < k; ++j)
    sum += static_cast<double>(p[experts[j]]);
  for (std::int64_t j = 0; j < k; ++j)
    weights[j] = static_cast<float>(p[experts[j]] / sum);
}

// Whether the last of the `chosen` and the best of the others are near. k < E.
bool is_near_tie(const float* p, std::int64_t E, const std::vector<std::int32_t>& chosen,
                 double gap) {
  const auto k = static_cast<std::int64_t>(chosen.size());
  const double last = p[chosen.back()], next = p[next_best(p, E, chosen.data(), k)];
  return last - next <= gap * last;
}

void expect_expert(std::int32_t expert, std::int64_t E, const char* operation) {
  if (expert >= 0 && expert < E) return;
  throw std::invalid_argument(std::string(operation) + ": experts: expected a number below " +
                              std::to_string(E) + ", got " + std::to_string(expert));
}

struct TokenGradient {
  const float *dweights, *dprobability, *p, *weights;
  const std::int32_t* experts;
  float* dlogits;
};

void backward_token(const TokenGradient& token, std::int64_t E, std::int64_t k) {
  const auto *dweights = token.dweights, *p = token.p, *weights = token.weights;
  const auto* experts = token.experts;
  auto* dlogits = token.dlogits;
  double sum = 0, mean = 0;
  for (std::int64_t j = 0; j < k; ++j) {
    expect_expert(experts[j], E, "router_backward");
    sum += static_cast<double>(p[experts[j]]);
    mean += static_cast<double>(dweights[j]) * static_cast<double>(weights[j]);
  }
  std::copy_n(token.dprobability, E, dlogits);
  for (std::int64_t j = 0; j < k; ++j)
    dlogits[experts[j]] += static_cast<float>((dweights[j] - mean) / sum);
  double dot = 0;
#pragma omp simd reduction(+ : dot)
  for (std::int64_t e = 0; e < E; ++e)
    dot += static_cast<double>(p[e]) * static_cast<double>(dlogits[e]);
  const auto common = static_cast<float>(dot);
#pragma omp simd
  for (std::int64_t e = 0; e < E; ++e)
    dlogits[e] = p[e] * (dlogits[e] - common);
}

}  // namespace

void router_forward(const RouterForward& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.logits.dims[0], E = args.logits.dims[1], k = args.weights.dims[1];
    auto* experts = args.experts.as<std::int32_t>();
    auto* counts = args.counts.as<std::int32_t>();
    auto* sums = args.probability_sums.as<double>();
    for (std::int64_t t = 0; t < T; ++t) {
      auto* p = args.probabilities.as<float>() + t * E;
      softmax(args.logits.as<float>() + t * E, E, p);
      choose(p, E, k, experts + t * k);
      weigh(p, k, experts + t * k, args.weights.as<float>() + t * k);
      for (std::int64_t j = 0; j < k; ++j)
        ++counts[experts[t * k + j]];
#pragma omp simd
      for (std::int64_t e = 0; e < E; ++e)
        sums[e] += static_cast<double>(p[e]);
    }
  });
}

void router_backward(const RouterBackward& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.probabilities.dims[0], E = args.probabilities.dims[1];
    const auto k = args.weights.dims[1];
    for (std::int64_t t = 0; t < T; ++t) {
      backward_token({.dweights = args.dweights.as<float>() + t * k,
                      .dprobability = args.dprobability.as<float>(),
                      .p = args.probabilities.as<float>() + t * E,
                      .weights = args.weights.as<float>() + t * k,
                      .experts = args.experts.as<std::int32_t>() + t * k,
                      .dlogits = args.dlogits.as<float>() + t * E},
                     E, k);
    }
  });
}

void router_replay(const RouterReplay& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.reference.dims[0], E = args.reference.dims[1], k = args.weights.dims[1];
    auto* counts = args.counts.as<std::int32_t>();
    std::vector<std::int32_t> chosen(static_cast<std::size_t>(k));  // by the reference
    for (std::int64_t t = 0; t < T; ++t) {
      const auto* reference = args.reference.as<float>() + t * E;
      auto* experts = args.experts.as<std::int32_t>() + t * k;
      for (std::int64_t j = 0; j < k; ++j)
        expect_expert(experts[j], E, "router_replay");
      choose(reference, E, k, chosen.data());
      if (std::is_permutation(chosen.begin(), chosen.end(), experts) ||
          !is_near_tie(reference, E, chosen, args.gap))
        continue;
      for (std::int64_t j = 0; j < k; ++j) {
        --counts[experts[j]];
        experts[j] = chosen[static_cast<std::size_t>(j)];
        ++counts[experts[j]];
      }
      weigh(args.probabilities.as<float>() + t * E, k, experts, args.weights.as<float>() + t * k);
      ++*args.replayed.as<std::int32_t>();
    }
  });
}

}  // namespace fulgur::cpu
