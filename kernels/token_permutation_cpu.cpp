#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/token_permutation_impl.hpp"

namespace fulgur::cpu {
namespace {

// Counting sort: count, prefix sums, place.
void sort(const SortByExpert& args) {
  const auto M = args.experts.count(), E = args.offsets.dims[0] - 1;
  const auto* experts = args.experts.as<std::int32_t>();
  auto *rows = args.rows.as<std::int32_t>(), *slots = args.slots.as<std::int32_t>(),
       *offsets = args.offsets.as<std::int32_t>();
  std::fill_n(offsets, E + 1, 0);
  for (std::int64_t i = 0; i < M; ++i) {
    if (experts[i] < -1 || experts[i] >= E) {
      throw std::invalid_argument("sort_by_expert: experts: expected -1 or a number below " +
                                  std::to_string(E) + ", got " + std::to_string(experts[i]));
    }
    if (experts[i] >= 0) ++offsets[experts[i] + 1];
  }
  for (std::int64_t e = 0; e < E; ++e)
    offsets[e + 1] += offsets[e];

  std::vector<std::int32_t> next(offsets, offsets + E);  // the row that expert e fills next
  for (std::int64_t i = 0; i < M; ++i) {
    rows[i] = experts[i] < 0 ? -1 : next[static_cast<std::size_t>(experts[i])]++;
    if (rows[i] >= 0) slots[rows[i]] = static_cast<std::int32_t>(i);
  }
  std::fill(slots + offsets[E], slots + M, -1);
}

void add_row(const float* from, float factor, std::int64_t C, float* to) {
#pragma omp simd
  for (std::int64_t c = 0; c < C; ++c)
    to[c] += factor * from[c];
}

double dot(const float* a, const float* b, std::int64_t C) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t c = 0; c < C; ++c)
    sum += static_cast<double>(a[c]) * static_cast<double>(b[c]);
  return sum;
}

// out[t] = sum over j of weights[t, j] y[rows[t, j]], every weight 1 when weights is null.
void gather_rows(const Tensor& y, const Tensor& rows, const float* weights, const Tensor& out) {
  const auto T = rows.dims[0], k = rows.dims[1], C = out.dims[1];
  const auto* row = rows.as<std::int32_t>();
  for (std::int64_t t = 0; t < T; ++t) {
    auto* to = out.as<float>() + t * C;
    std::fill_n(to, C, 0.0f);
    for (auto i = t * k; i < (t + 1) * k; ++i) {
      if (row[i] >= 0)
        add_row(y.as<float>() + row[i] * C, weights == nullptr ? 1.0f : weights[i], C, to);
    }
  }
}

void spread_gradient(const CombineBackward& args) {
  const auto M = args.slots.dims[0], k = args.rows.dims[1], C = args.dout.dims[1];
  const auto* slots = args.slots.as<std::int32_t>();
  const auto* weights = args.weights.as<float>();
  for (std::int64_t r = 0; r < M; ++r) {
    auto* dy = args.dy.as<float>() + r * C;
    std::fill_n(dy, C, 0.0f);
    if (slots[r] >= 0) add_row(args.dout.as<float>() + slots[r] / k * C, weights[slots[r]], C, dy);
  }
}

}  // namespace

void sort_by_expert(const SortByExpert& args, Stream& stream) {
  stream.run([args] { sort(args); });
}

void permute_forward(const PermuteForward& args, Stream& stream) {
  stream.run([args] {
    const auto M = args.y.dims[0], C = args.y.dims[1];
    const auto* slots = args.slots.as<std::int32_t>();
    const auto* x = args.x.as<float>();
    auto* y = args.y.as<float>();
    for (std::int64_t r = 0; r < M; ++r) {
      if (slots[r] >= 0) {
        std::copy_n(x + slots[r] / args.k * C, C, y + r * C);
      } else {
        std::fill_n(y + r * C, C, 0.0f);
      }
    }
  });
}

void permute_backward(const PermuteBackward& args, Stream& stream) {
  stream.run([args] { gather_rows(args.dy, args.rows, nullptr, args.dx); });
}

void combine_forward(const CombineForward& args, Stream& stream) {
  stream.run([args] { gather_rows(args.y, args.rows, args.weights.as<float>(), args.out); });
}

void combine_backward(const CombineBackward& args, Stream& stream) {
  stream.run([args] {
    spread_gradient(args);
    const auto M = args.slots.dims[0], k = args.rows.dims[1], C = args.dout.dims[1];
    const auto* rows = args.rows.as<std::int32_t>();
    auto* dweights = args.dweights.as<float>();
    for (std::int64_t i = 0; i < M; ++i) {
      const auto* dout = args.dout.as<float>() + i / k * C;
      dweights[i] =
          rows[i] < 0 ? 0.0f : static_cast<float>(dot(dout, args.y.as<float>() + rows[i] * C, C));
    }
  });
}

}  // namespace fulgur::cpu
