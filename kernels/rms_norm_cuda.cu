#include <cuda_runtime.h>

#include "kernels/cuda_column_sums.cuh"
#include "kernels/cuda_packs.cuh"
#include "kernels/rms_norm_impl.hpp"

//   T rows of C columns, of elements E
//
// A block has a row. Where packs of 16 bytes fit and a block can hold the row in its registers, it is read
// from memory once; other rows are read twice.
namespace fulgur::cuda {
namespace {

// How a block holds a row: no more than kMostPacks packs in a thread, and no more threads than leave each
// enough registers for them and their dweights.
constexpr int kMostPacks = 4;
constexpr int kMostHeldThreads = 512, kFewThreads = 128;
// A block adds up the dweights of so many rows in float32, if that leaves enough blocks for the GPU.
constexpr std::int64_t kRowsOfPart = 32, kEnoughBlocks = 132 * 6;

// The sums over whole rows that the caller made, or nothing, and the columns of a whole row.
struct Sums {
  const double* sums;
  double width;
};

Sums sums_of(const RmsNormParts& parts, std::int64_t C) {
  if (parts.sums.data == nullptr) return {nullptr, static_cast<double>(C)};
  return {parts.sums.as<double>(), static_cast<double>(parts.width)};
}

template <int N, class E>
__device__ double squares(const Pack<E, N>& x) {
  double sum = 0;
  for (int j = 0; j < N; ++j)
    sum += static_cast<double>(to_float(x.at[j])) * static_cast<double>(to_float(x.at[j]));
  return sum;
}
// A pack is added up in float32, packs in float64: conversions are slow, and backward has more of them.
template <int N, class E>
__device__ double dots(const Pack<E, N>& dy, const Pack<E, N>& x, const Pack<float, N>& weight) {
  float sum = 0;
  for (int j = 0; j < N; ++j)
    sum += to_float(dy.at[j]) * weight.at[j] * to_float(x.at[j]);
  return static_cast<double>(sum);
}
template <int N, class E>
__device__ Pack<E, N> normed(const Pack<E, N>& x, const Pack<float, N>& weight, float rstd) {
  Pack<E, N> y;
  for (int j = 0; j < N; ++j)
    store(to_float(x.at[j]) * rstd * weight.at[j], &y.at[j]);
  return y;
}
// mean: of dy weight x over the whole row, times rstd.
template <int N, class E>
__device__ Pack<E, N> gradient(const Pack<E, N>& dy, const Pack<E, N>& x,
                               const Pack<float, N>& weight, float rstd, float mean) {
  Pack<E, N> dx;
  for (int j = 0; j < N; ++j) {
    store(rstd * (to_float(dy.at[j]) * weight.at[j] - to_float(x.at[j]) * rstd * mean), &dx.at[j]);
  }
  return dx;
}

// Calls body(c) for the packs of N columns c .. that a thread of the block has.
template <int N, class Body>
__device__ void for_packs(std::int64_t C, const Body& body) {
  for (auto c = std::int64_t{threadIdx.x} * N; c < C; c += std::int64_t{blockDim.x} * N)
    body(c);
}
// Calls body(p, c) for them when they are at most kPacks.
template <int N, int kPacks, class Body>
__device__ void for_held_packs(std::int64_t C, const Body& body) {
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const auto c = (std::int64_t{p} * blockDim.x + threadIdx.x) * N;
    if (c < C) body(p, c);
  }
}

template <class E>
struct Forward {
  const E* x;
  const float* weight;
  E* y;
  float* rstd;
  std::int64_t C;
  float eps;
  Sums sums;

  __device__ float factor(double sum_of_row) const {
    const double sum = sums.sums == nullptr ? sum_of_row : sums.sums[blockIdx.x];
    return static_cast<float>(1.0 / sqrt(sum / sums.width + eps));
  }
};

// Every thread reads its elements before it writes them, so y may be x.
template <int N, class E>
__global__ void forward_kernel(Forward<E> args) {
  const E* const x = args.x + blockIdx.x * args.C;
  E* const y = args.y + blockIdx.x * args.C;
  double sum = 0;
  if (args.sums.sums == nullptr) {
    for_packs<N>(args.C, [&](std::int64_t c) { sum += squares(load_pack<N>(x + c)); });
    sum = block_sum(sum);
  }
  const float rstd = args.factor(sum);
  for_packs<N>(args.C, [&](std::int64_t c) {
    store_pack(normed(load_pack<N>(x + c), load_pack<N>(args.weight + c), rstd), y + c);
  });
  if (threadIdx.x == 0) args.rstd[blockIdx.x] = rstd;
}

template <int kPacks, class E>
__global__ void __launch_bounds__(kMostHeldThreads) held_forward_kernel(Forward<E> args) {
  constexpr int N = kMostOfPack<E>;
  const E* const x = args.x + blockIdx.x * args.C;
  E* const y = args.y + blockIdx.x * args.C;
  Pack<E, N> held[kPacks];
  for_held_packs<N, kPacks>(args.C, [&](int p, std::int64_t c) { held[p] = load_pack<N>(x + c); });
  double sum = 0;
  if (args.sums.sums == nullptr) {
    for_held_packs<N, kPacks>(args.C, [&](int p, std::int64_t) { sum += squares(held[p]); });
    sum = block_sum(sum);
  }
  const float rstd = args.factor(sum);
  for_held_packs<N, kPacks>(args.C, [&](int p, std::int64_t c) {
    store_pack(normed(held[p], load_pack<N>(args.weight + c), rstd), y + c);
  });
  if (threadIdx.x == 0) args.rstd[blockIdx.x] = rstd;
}

template <class E>
struct Backward {
  const E *dy, *x;
  const float *weight, *rstd;
  E* dx;
  std::int64_t T, C;
  Sums sums;

  __device__ float mean(std::int64_t t, double sum_of_row) const {
    const double sum = sums.sums == nullptr ? sum_of_row : sums.sums[t];
    return static_cast<float>(sum * rstd[t] / sums.width);
  }
};

// As above: dx may be dy.
template <int N, class E>
__global__ void backward_kernel(Backward<E> args) {
  const std::int64_t t = blockIdx.x, first = t * args.C;
  double sum = 0;
  if (args.sums.sums == nullptr) {
    for_packs<N>(args.C, [&](std::int64_t c) {
      sum += dots(load_pack<N>(args.dy + first + c), load_pack<N>(args.x + first + c),
                  load_pack<N>(args.weight + c));
    });
    sum = block_sum(sum);
  }
  const float mean = args.mean(t, sum), rstd = args.rstd[t];
  for_packs<N>(args.C, [&](std::int64_t c) {
    const auto dx = gradient(load_pack<N>(args.dy + first + c), load_pack<N>(args.x + first + c),
                             load_pack<N>(args.weight + c), rstd, mean);
    store_pack(dx, args.dx + first + c);
  });
}

// A block goes through every gridDim.x-th row and writes the sum of its dweights to a row of `parts`.
//   parts [gridDim.x, C]
template <int kPacks, class E>
__global__ void __launch_bounds__(kMostHeldThreads)
    held_backward_kernel(Backward<E> args, float* parts) {
  constexpr int N = kMostOfPack<E>;
  float dweight[kPacks][N] = {};
  for (std::int64_t t = blockIdx.x; t < args.T; t += gridDim.x) {
    const auto first = t * args.C;
    Pack<E, N> dy[kPacks], x[kPacks];
    for_held_packs<N, kPacks>(args.C, [&](int p, std::int64_t c) {
      dy[p] = load_pack<N>(args.dy + first + c);
      x[p] = load_pack<N>(args.x + first + c);
    });
    const float rstd = args.rstd[t];
    double sum = 0;
    for_held_packs<N, kPacks>(args.C, [&](int p, std::int64_t c) {
      sum += dots(dy[p], x[p], load_pack<N>(args.weight + c));
      for (int j = 0; j < N; ++j)
        dweight[p][j] += to_float(dy[p].at[j]) * (to_float(x[p].at[j]) * rstd);
    });
    if (args.sums.sums == nullptr) sum = block_sum(sum);
    const float mean = args.mean(t, sum);
    for_held_packs<N, kPacks>(args.C, [&](int p, std::int64_t c) {
      store_pack(gradient(dy[p], x[p], load_pack<N>(args.weight + c), rstd, mean),
                 args.dx + first + c);
    });
  }
  for_held_packs<N, kPacks>(args.C, [&](int p, std::int64_t c) {
    for (int j = 0; j < N; ++j)
      parts[blockIdx.x * args.C + c + j] = dweight[p][j];
  });
}

template <int N, class E>
__global__ void squares_kernel(const E* x, double* sums, std::int64_t C) {
  x += blockIdx.x * C;
  double sum = 0;
  for_packs<N>(C, [&](std::int64_t c) { sum += squares(load_pack<N>(x + c)); });
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

template <int N, class E>
__global__ void dots_kernel(const E* dy, const E* x, const float* weight, double* sums,
                            std::int64_t C) {
  dy += blockIdx.x * C;
  x += blockIdx.x * C;
  double sum = 0;
  for_packs<N>(C, [&](std::int64_t c) {
    sum += dots(load_pack<N>(dy + c), load_pack<N>(x + c), load_pack<N>(weight + c));
  });
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// Calls body(PackSize<kPacks>{}, threads) when a block can hold a row of so many packs. Returns false
// when not.
template <class Body>
bool with_held_row(std::int64_t packs, const Body& body) {
  if (packs > kMostPacks * kMostHeldThreads) return false;
  const auto threads = [&](std::int64_t of_thread) {
    return static_cast<unsigned>(divide_up(divide_up(packs, of_thread), kWarp) * kWarp);
  };
  if (packs <= kFewThreads) {
    body(PackSize<1>{}, threads(1));
  } else if (packs <= 2 * kFewThreads) {
    body(PackSize<2>{}, threads(2));
  } else {
    body(PackSize<kMostPacks>{}, threads(kMostPacks));
  }
  return true;
}

template <class E>
void forward_of(const RmsNormForward& args, Stream& stream) {
  const auto T = args.x.dims[0], C = args.x.dims[1];
  const Forward<E> forward{.x = args.x.as<E>(),
                           .weight = args.weight.as<float>(),
                           .y = args.y.as<E>(),
                           .rstd = args.rstd.as<float>(),
                           .C = C,
                           .eps = args.eps,
                           .sums = sums_of(args.parts, C)};
  const bool fits = fits_packs<E>(C, {args.x, args.weight, args.y});
  const bool is_held = fits && with_held_row(C / kMostOfPack<E>, [&](auto packs, unsigned threads) {
                         held_forward_kernel<decltype(packs)::value>
                             <<<grid_size(T), threads, 0, native(stream)>>>(forward);
                       });
  if (!is_held) {
    with_pack_size<E>(fits, [&](auto size) {
      forward_kernel<decltype(size)::value><<<grid_size(T), kThreads, 0, native(stream)>>>(forward);
    });
  }
  check_launch("rms_norm_forward");
}

struct PartOf {
  const float* parts;
  std::int64_t C;

  __device__ double operator()(std::int64_t row, std::int64_t column) const {
    return static_cast<double>(parts[row * C + column]);
  }
};

// dx, and dweight from the parts of it that blocks with many rows leave.
template <class E>
bool held_backward(const Backward<E>& backward, float* dweight, Stream& stream) {
  const auto T = backward.T, C = backward.C;
  const auto num_parts = std::max(std::min(T, kEnoughBlocks), divide_up(T, kRowsOfPart));
  return with_held_row(C / kMostOfPack<E>, [&](auto packs, unsigned threads) {
    const Scratch scratch(static_cast<std::size_t>(num_parts * C) * sizeof(float), stream);
    auto* parts = scratch.as<float>();
    held_backward_kernel<decltype(packs)::value>
        <<<grid_size(num_parts), threads, 0, native(stream)>>>(backward, parts);
    check_launch("rms_norm_backward");
    add_column_sums({num_parts, C}, dweight, stream, "rms_norm_backward", PartOf{parts, C});
  });
}

template <class E>
void backward_of(const RmsNormBackward& args, Stream& stream) {
  const auto T = args.x.dims[0], C = args.x.dims[1];
  const auto *dy = args.dy.as<E>(), *x = args.x.as<E>();
  const auto* rstd = args.rstd.as<float>();
  auto* dweight = args.dweight.as<float>();
  const Backward<E> backward{.dy = dy,
                             .x = x,
                             .weight = args.weight.as<float>(),
                             .rstd = rstd,
                             .dx = args.dx.as<E>(),
                             .T = T,
                             .C = C,
                             .sums = sums_of(args.parts, C)};
  const bool fits = fits_packs<E>(C, {args.dy, args.x, args.weight, args.dx});
  if (fits && held_backward(backward, dweight, stream)) return;
  // dweight comes first: dx may be dy.
  add_column_sums({T, C}, dweight, stream, "rms_norm_backward",
                  [=] __device__(std::int64_t t, std::int64_t c) {
                    const auto at = t * C + c;
                    return static_cast<double>(to_float(dy[at]) * (to_float(x[at]) * rstd[t]));
                  });
  with_pack_size<E>(fits, [&](auto size) {
    backward_kernel<decltype(size)::value><<<grid_size(T), kThreads, 0, native(stream)>>>(backward);
  });
  check_launch("rms_norm_backward");
}

}  // namespace

void rms_norm_forward(const RmsNormForward& args, Stream& stream) {
  with_float_type(args.x.dtype, [&](auto element) { forward_of<decltype(element)>(args, stream); });
}

void rms_norm_backward(const RmsNormBackward& args, Stream& stream) {
  with_float_type(args.x.dtype,
                  [&](auto element) { backward_of<decltype(element)>(args, stream); });
}

void rms_norm_squares(const RmsNormSquares& args, Stream& stream) {
  const auto T = args.x.dims[0], C = args.x.dims[1];
  with_float_type(args.x.dtype, [&](auto element) {
    using E = decltype(element);
    with_pack_size<E>(fits_packs<E>(C, {args.x}), [&](auto size) {
      squares_kernel<decltype(size)::value><<<grid_size(T), kThreads, 0, native(stream)>>>(
          args.x.as<E>(), args.sums.as<double>(), C);
      check_launch("rms_norm_squares");
    });
  });
}

void rms_norm_dots(const RmsNormDots& args, Stream& stream) {
  const auto T = args.x.dims[0], C = args.x.dims[1];
  with_float_type(args.x.dtype, [&](auto element) {
    using E = decltype(element);
    with_pack_size<E>(fits_packs<E>(C, {args.dy, args.x, args.weight}), [&](auto size) {
      dots_kernel<decltype(size)::value><<<grid_size(T), kThreads, 0, native(stream)>>>(
          args.dy.as<E>(), args.x.as<E>(), args.weight.as<float>(), args.sums.as<double>(), C);
      check_launch("rms_norm_dots");
    });
  });
}

}  // namespace fulgur::cuda
