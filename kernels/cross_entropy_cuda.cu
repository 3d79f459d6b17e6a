#include <cuda_runtime.h>

#include "kernels/cross_entropy_impl.hpp"
#include "kernels/cuda_packs.cuh"

namespace fulgur::cuda {
namespace {

constexpr int kRowThreads = 512;    // of the block that has one row of logits
constexpr int kLossThreads = 1024;  // of the one block that adds up the loss

// The column of a label in this part of the vocabulary, -1 when it has none.
__device__ std::int64_t column_of(std::int32_t label, std::int32_t first_id, std::int64_t V) {
  const auto column = std::int64_t{label} - first_id;
  return label != kIgnoredLabel && column >= 0 && column < V ? column : -1;
}

// A running maximum, and the sum of exp(x - maximum) over the numbers so far: one pass over them.
struct Partition {
  float largest = -INFINITY;
  double sum = 0;

  // No number is less than minus infinity, and as a maximum it takes nothing off.
  __device__ float shift() const { return largest == -INFINITY ? 0.0f : largest; }

  template <int N, class T>
  __device__ void add(const Pack<T, N>& x) {
    float greatest = largest;
    for (int j = 0; j < N; ++j)
      greatest = fmaxf(greatest, to_float(x.at[j]));
    if (greatest > largest) {
      sum *= static_cast<double>(expf(largest - greatest));
      largest = greatest;
    }
    float more = 0;
    for (int j = 0; j < N; ++j)
      more +=
          __expf(to_float(x.at[j]) - shift());  // the errors of many terms are lost in their sum
    sum += static_cast<double>(more);
  }
};

template <int N, class T>
__global__ void forward_kernel(const T* logits, const std::int32_t* labels, float* lse,
                               float* target, std::int64_t V, std::int32_t first_id) {
  const auto t = blockIdx.x;
  const T* row = logits + t * V;
  Partition part;
#pragma unroll 4
  for (auto v = std::int64_t{threadIdx.x} * N; v < V; v += kRowThreads * N)
    part.add(load_pack<N>(row + v));
  const float largest = block_max(part.largest);
  // A thread without a number has a maximum of -infinity and adds nothing.
  const double sum = block_sum(part.sum * static_cast<double>(expf(part.largest - largest)));
  if (threadIdx.x != 0) return;
  const auto column = column_of(labels[t], first_id, V);
  lse[t] = static_cast<float>(largest + log(sum));
  target[t] = column >= 0 ? to_float(row[column]) : 0.0f;
}

template <class T>
struct Backward {
  T* logits;
  const std::int32_t* labels;
  const float* lse;
  std::int64_t V;
  float scale;
  std::int32_t first_id;
};
template <int N, class T>
__global__ void backward_kernel(Backward<T> args) {
  const auto t = blockIdx.x;
  T* row = args.logits + t * args.V;
  const auto label = args.labels[t];
  const auto column = column_of(label, args.first_id, args.V);
  const float lse = args.lse[t];
  for (auto v = std::int64_t{threadIdx.x} * N; v < args.V; v += kRowThreads * N) {
    auto pack = load_pack<N>(row + v);
    for (int j = 0; j < N; ++j) {
      const float p = args.scale * expf(to_float(pack.at[j]) - lse);
      store(label == kIgnoredLabel ? 0.0f : v + j == column ? p - args.scale : p, &pack.at[j]);
    }
    store_pack(pack, row + v);
  }
}

__global__ void loss_kernel(const float* lse, const float* target, const std::int32_t* labels,
                            std::int64_t T, double* loss) {
  double sum = 0;
  for (std::int64_t t = threadIdx.x; t < T; t += blockDim.x) {
    if (labels[t] != kIgnoredLabel) sum += static_cast<double>(lse[t]) - target[t];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) *loss += sum;
}

__global__ void combine_kernel(const float* parts, float* lse, std::int64_t P, std::int64_t T) {
  const auto t = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (t >= T) return;
  float largest = parts[t];
  for (std::int64_t p = 1; p < P; ++p)
    largest = fmaxf(largest, parts[p * T + t]);
  float sum = 0;
  for (std::int64_t p = 0; p < P; ++p)
    sum += expf(parts[p * T + t] - largest);
  lse[t] = largest + logf(sum);
}

// Calls body(logits, size) with the elements and the size of the packs that the rows can be moved in.
template <class Body>
void with_row_packs(const Tensor& logits, const Body& body) {
  with_float_type(logits.dtype, [&](auto element) {
    using T = decltype(element);
    with_pack_size<T>(fits_packs<T>(logits.dims[1], {logits}),
                      [&](auto size) { body(logits.as<T>(), size); });
  });
}

}  // namespace

void cross_entropy_forward(const CrossEntropyForward& args, Stream& stream) {
  const auto T = args.logits.dims[0], V = args.logits.dims[1];
  with_row_packs(args.logits, [&](auto* logits, auto size) {
    forward_kernel<decltype(size)::value><<<grid_size(T), kRowThreads, 0, native(stream)>>>(
        logits, args.labels.as<std::int32_t>(), args.lse.as<float>(), args.target.as<float>(), V,
        args.first_id);
    check_launch("cross_entropy_forward");
  });
}

void cross_entropy_backward(const CrossEntropyBackward& args, Stream& stream) {
  with_row_packs(args.logits, [&]<class T>(T* logits, auto size) {
    const Backward<T> backward{.logits = logits,
                               .labels = args.labels.as<std::int32_t>(),
                               .lse = args.lse.as<float>(),
                               .V = args.logits.dims[1],
                               .scale = args.scale,
                               .first_id = args.first_id};
    backward_kernel<decltype(size)::value>
        <<<grid_size(args.logits.dims[0]), kRowThreads, 0, native(stream)>>>(backward);
    check_launch("cross_entropy_backward");
  });
}

void cross_entropy_loss(const CrossEntropyLoss& args, Stream& stream) {
  loss_kernel<<<1, kLossThreads, 0, native(stream)>>>(args.lse.as<float>(), args.target.as<float>(),
                                                      args.labels.as<std::int32_t>(),
                                                      args.lse.dims[0], args.loss.as<double>());
  check_launch("cross_entropy_loss");
}

void combine_lse(const CombineLse& args, Stream& stream) {
  const auto T = args.parts.dims[1];
  combine_kernel<<<grid_size(divide_up(T, kThreads)), kThreads, 0, native(stream)>>>(
      args.parts.as<float>(), args.lse.as<float>(), args.parts.dims[0], T);
  check_launch("combine_lse");
}

}  // namespace fulgur::cuda
