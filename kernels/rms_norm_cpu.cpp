#include <cmath>
#include <vector>

#include "kernels/rms_norm_impl.hpp"

namespace fulgur::cpu {
namespace {

void forward_row(const float* x, const float* weight, std::int64_t C, float rstd, float* y) {
#pragma omp simd
  for (std::int64_t c = 0; c < C; ++c)
    y[c] = x[c] * rstd * weight[c];
}

double mean_square(const float* x, std::int64_t C) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t c = 0; c < C; ++c)
    sum += static_cast<double>(x[c]) * static_cast<double>(x[c]);
  return sum / static_cast<double>(C);
}

struct Row {
  const float *dy, *x, *weight;
  float* dx;
  double* dweight;
};

void backward_row(const Row& row, std::int64_t C, float rstd) {
  const auto *dy = row.dy, *x = row.x, *weight = row.weight;
  auto* dx = row.dx;
  auto* dweight = row.dweight;
  double dot = 0;
#pragma omp simd reduction(+ : dot)
  for (std::int64_t c = 0; c < C; ++c)
    dot += static_cast<double>(dy[c] * weight[c]) * static_cast<double>(x[c]);
  const auto mean = static_cast<float>(dot * rstd / static_cast<double>(C));
#pragma omp simd
  for (std::int64_t c = 0; c < C; ++c) {
    const float normed = x[c] * rstd;
    dweight[c] += static_cast<double>(dy[c] * normed);
    dx[c] = rstd * (dy[c] * weight[c] - normed * mean);
  }
}

}  // namespace

void rms_norm_forward(const RmsNormForward& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.x.dims[0], C = args.x.dims[1];
    const auto *x = args.x.as<float>(), *weight = args.weight.as<float>();
    auto *y = args.y.as<float>(), *rstd = args.rstd.as<float>();
    for (std::int64_t t = 0; t < T; ++t) {
      rstd[t] = static_cast<float>(1.0 / std::sqrt(mean_square(x + t * C, C) + args.eps));
      forward_row(x + t * C, weight, C, rstd[t], y + t * C);
    }
  });
}

void rms_norm_backward(const RmsNormBackward& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.x.dims[0], C = args.x.dims[1];
    const auto *dy = args.dy.as<float>(), *x = args.x.as<float>(),
               *weight = args.weight.as<float>(), *rstd = args.rstd.as<float>();
    auto *dx = args.dx.as<float>(), *dweight = args.dweight.as<float>();
    std::vector<double> sums(static_cast<std::size_t>(C));  // of dweight over the rows
    for (std::int64_t t = 0; t < T; ++t) {
      backward_row({dy + t * C, x + t * C, weight, dx + t * C, sums.data()}, C, rstd[t]);
    }
    for (std::int64_t c = 0; c < C; ++c)
      dweight[c] += static_cast<float>(sums[static_cast<std::size_t>(c)]);
  });
}

}  // namespace fulgur::cpu
