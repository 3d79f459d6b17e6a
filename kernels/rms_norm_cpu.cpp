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

double squares(const float* x, std::int64_t C) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t c = 0; c < C; ++c)
    sum += static_cast<double>(x[c]) * static_cast<double>(x[c]);
  return sum;
}

double dot(const float* dy, const float* weight, const float* x, std::int64_t C) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t c = 0; c < C; ++c)
    sum += static_cast<double>(dy[c] * weight[c]) * static_cast<double>(x[c]);
  return sum;
}

// The sums over whole rows that the caller made, or else those of `sum(t)`, and the columns behind them.
template <class Sum>
double row_mean(const RmsNormParts& parts, std::int64_t t, std::int64_t C, Sum sum) {
  if (parts.sums.data == nullptr) return sum(t) / static_cast<double>(C);
  return parts.sums.as<double>()[t] / static_cast<double>(parts.width);
}

struct Row {
  const float *dy, *x, *weight;
  float* dx;
  double* dweight;
};

// mean: of dy weight x over the whole row, times rstd.
void backward_row(const Row& row, std::int64_t C, float rstd, float mean) {
  const auto *dy = row.dy, *x = row.x, *weight = row.weight;
  auto* dx = row.dx;
  auto* dweight = row.dweight;
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
      const double mean =
          row_mean(args.parts, t, C, [&](std::int64_t row) { return squares(x + row * C, C); });
      rstd[t] = static_cast<float>(1.0 / std::sqrt(mean + args.eps));
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
      const double mean = row_mean(args.parts, t, C, [&](std::int64_t row) {
        return dot(dy + row * C, weight, x + row * C, C);
      });
      backward_row({dy + t * C, x + t * C, weight, dx + t * C, sums.data()}, C, rstd[t],
                   static_cast<float>(mean * rstd[t]));
    }
    for (std::int64_t c = 0; c < C; ++c)
      dweight[c] += static_cast<float>(sums[static_cast<std::size_t>(c)]);
  });
}

void rms_norm_squares(const RmsNormSquares& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.x.dims[0], C = args.x.dims[1];
    for (std::int64_t t = 0; t < T; ++t)
      args.sums.as<double>()[t] = squares(args.x.as<float>() + t * C, C);
  });
}

void rms_norm_dots(const RmsNormDots& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.x.dims[0], C = args.x.dims[1];
    for (std::int64_t t = 0; t < T; ++t) {
      args.sums.as<double>()[t] =
          dot(args.dy.as<float>() + t * C, args.weight.as<float>(), args.x.as<float>() + t * C, C);
    }
  });
}

}  // namespace fulgur::cpu
