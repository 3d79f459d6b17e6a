#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cross_entropy_impl.hpp"
#include "kernels/vector_math.hpp"

namespace fulgur::cpu {
namespace {

double log_sum_exp(const float* logits, std::int64_t V) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (std::int64_t v = 0; v < V; ++v)
    largest = logits[v] > largest ? logits[v] : largest;
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t v = 0; v < V; ++v)
    sum += static_cast<double>(vector_exp(logits[v] - largest));
  return largest + std::log(sum);
}

// The column of a label in this part of the vocabulary, -1 when it has none.
std::int64_t column_of(std::int32_t label, std::int32_t first_id, std::int64_t V) {
  const auto column = std::int64_t{label} - first_id;
  return label != kIgnoredLabel && column >= 0 && column < V ? column : -1;
}

}  // namespace

void cross_entropy_forward(const CrossEntropyForward& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.logits.dims[0], V = args.logits.dims[1];
    const auto* labels = args.labels.as<std::int32_t>();
    auto *lse = args.lse.as<float>(), *target = args.target.as<float>();
    for (std::int64_t t = 0; t < T; ++t) {
      const auto* row = args.logits.as<float>() + t * V;
      const auto column = column_of(labels[t], args.first_id, V);
      lse[t] = static_cast<float>(log_sum_exp(row, V));
      target[t] = column >= 0 ? row[column] : 0.0f;
    }
  });
}

void cross_entropy_backward(const CrossEntropyBackward& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.logits.dims[0], V = args.logits.dims[1];
    const auto* labels = args.labels.as<std::int32_t>();
    const auto* lse = args.lse.as<float>();
    for (std::int64_t t = 0; t < T; ++t) {
      auto* row = args.logits.as<float>() + t * V;
      if (labels[t] == kIgnoredLabel) {
        std::fill_n(row, V, 0.0f);
        continue;
      }
      const float row_lse = lse[t], scale = args.scale;
#pragma omp simd
      for (std::int64_t v = 0; v < V; ++v)
        row[v] = scale * vector_exp(row[v] - row_lse);
      if (const auto column = column_of(labels[t], args.first_id, V); column >= 0)
        row[column] -= scale;
    }
  });
}

void cross_entropy_loss(const CrossEntropyLoss& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.lse.dims[0];
    const auto *lse = args.lse.as<float>(), *target = args.target.as<float>();
    const auto* labels = args.labels.as<std::int32_t>();
    double sum = 0;
    for (std::int64_t t = 0; t < T; ++t) {
      if (labels[t] != kIgnoredLabel) sum += static_cast<double>(lse[t]) - target[t];
    }
    *args.loss.as<double>() += sum;
  });
}

void combine_lse(const CombineLse& args, Stream& stream) {
  stream.run([args] {
    const auto P = args.parts.dims[0], T = args.parts.dims[1];
    const auto* parts = args.parts.as<float>();
    for (std::int64_t t = 0; t < T; ++t) {
      float largest = parts[t];
      for (std::int64_t p = 1; p < P; ++p)
        largest = std::max(largest, parts[p * T + t]);
      float sum = 0;
      for (std::int64_t p = 0; p < P; ++p)
        sum += std::exp(parts[p * T + t] - largest);
      args.lse.as<float>()[t] = largest + std::log(sum);
    }
  });
}

}  // namespace fulgur::cpu
