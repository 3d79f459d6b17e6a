#include <cuda_runtime.h>

#include "kernels/cuda_packs.cuh"
#include "kernels/token_permutation_impl.hpp"

//   T tokens, k choices, M = T k assignments and rows, C columns, E experts
namespace fulgur::cuda {
namespace {

constexpr int kWarpsOfBlock = kThreads / kWarp;

// A stable counting sort in three kernels. Block b has the assignments kThreads b .. kThreads (b+1) - 1.
// `firsts` [blocks, E]: first how many of them each expert has, then the row of the first of them.
struct Sort {
  const std::int32_t* experts;
  std::int32_t *rows, *slots, *offsets, *firsts;
  std::int64_t M, E;
  unsigned num_blocks;
};

__device__ std::int32_t expert_of(const Sort& args, std::int64_t i) {
  const auto expert = i < args.M ? args.experts[i] : -1;
  require(expert >= -1 && expert < args.E);
  return expert;
}

__global__ void count_kernel(Sort args) {
  const auto expert = expert_of(args, std::int64_t{blockIdx.x} * kThreads + threadIdx.x);
  if (expert >= 0) atomicAdd(args.firsts + blockIdx.x * args.E + expert, 1);
}

// One block: thread by thread the experts, then the running sum over them.
__global__ void offsets_kernel(Sort args) {
  for (std::int64_t e = threadIdx.x; e < args.E; e += blockDim.x) {
    std::int32_t sum = 0;
    for (unsigned b = 0; b < args.num_blocks; ++b)
      sum += args.firsts[b * args.E + e];
    args.offsets[e + 1] = sum;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    args.offsets[0] = 0;
    for (std::int64_t e = 0; e < args.E; ++e)
      args.offsets[e + 1] += args.offsets[e];
  }
  __syncthreads();
  for (std::int64_t e = threadIdx.x; e < args.E; e += blockDim.x) {
    auto next = args.offsets[e];
    for (unsigned b = 0; b < args.num_blocks; ++b) {
      const auto count = args.firsts[b * args.E + e];
      args.firsts[b * args.E + e] = next;
      next += count;
    }
  }
}

// An assignment comes behind those of its expert in the blocks before and before it in its own block.
__global__ void place_kernel(Sort args) {
  __shared__ std::int32_t experts[kThreads];
  const auto i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const auto expert = expert_of(args, i);
  experts[threadIdx.x] = expert;
  __syncthreads();
  if (i >= args.M) return;
  if (expert < 0) {
    args.rows[i] = -1;
    return;
  }
  auto row = args.firsts[blockIdx.x * args.E + expert];
  for (unsigned before = 0; before < threadIdx.x; ++before)
    row += experts[before] == expert;
  args.rows[i] = row;
  args.slots[row] = static_cast<std::int32_t>(i);
}

// out[t] = sum over j of weights[t, j] y[rows[t, j]], every weight 1 when weights is null.
template <class T>
void gather_rows(const Tensor& y_tensor, const Tensor& rows_tensor, const float* weights,
                 const Tensor& out_tensor, Stream& stream) {
  const auto k = rows_tensor.dims[1], C = out_tensor.dims[1];
  const auto* y = y_tensor.as<T>();
  const auto* rows = rows_tensor.as<std::int32_t>();
  auto* out = out_tensor.as<T>();
  for_each_row_pack<T>(out_tensor.dims[0], C, is_aligned(out_tensor) && is_aligned(y_tensor),
                       stream, "combine",
                       [=] __device__(std::int64_t t, std::int64_t c, auto size) {
                         constexpr int N = decltype(size)::value;
                         float sums[N] = {};
                         for (auto a = t * k; a < (t + 1) * k; ++a) {
                           if (rows[a] < 0) continue;
                           const float weight = weights == nullptr ? 1.0f : weights[a];
                           const auto row = load_pack<N>(y + rows[a] * C + c);
                           for (int j = 0; j < N; ++j)
                             sums[j] += weight * to_float(row.at[j]);
                         }
                         Pack<T, N> pack;
                         for (int j = 0; j < N; ++j)
                           store(sums[j], &pack.at[j]);
                         store_pack(pack, out + t * C + c);
                       });
}

template <class T>
void permute_forward_of(const PermuteForward& args, Stream& stream) {
  const auto C = args.y.dims[1], k = args.k;
  const auto* slots = args.slots.as<std::int32_t>();
  const auto* x = args.x.as<T>();
  auto* y = args.y.as<T>();
  for_each_row_pack<T>(args.y.dims[0], C, is_aligned(args.y) && is_aligned(args.x), stream,
                       "permute_forward",
                       [=] __device__(std::int64_t r, std::int64_t c, auto size) {
                         constexpr int N = decltype(size)::value;
                         const auto slot = slots[r];
                         Pack<T, N> pack = {};
                         if (slot >= 0) pack = load_pack<N>(x + slot / k * C + c);
                         store_pack(pack, y + r * C + c);
                       });
}

template <class T>
struct Combination {
  const T *dout, *y;
  const std::int32_t *rows, *slots;
  const float* weights;
  T* dy;
  float* dweights;
  std::int64_t M, k, C;
};

// One warp per row.
template <int N, class T>
__global__ void combine_backward_kernel(Combination<T> args) {
  const auto r = std::int64_t{blockIdx.x} * kWarpsOfBlock + threadIdx.x / kWarp;
  const auto lane = threadIdx.x % kWarp;
  if (r >= args.M) return;
  const std::int64_t slot = args.slots[r];
  const float weight = slot >= 0 ? args.weights[slot] : 0.0f;
  const T *dout = args.dout + (slot >= 0 ? slot / args.k * args.C : 0), *y = args.y + r * args.C;
  T* const dy = args.dy + r * args.C;
  double sum = 0;
  for (auto c = std::int64_t{lane} * N; c < args.C; c += kWarp * N) {
    Pack<T, N> out = {};
    if (slot >= 0) {
      const auto through = load_pack<N>(dout + c), own = load_pack<N>(y + c);
      for (int j = 0; j < N; ++j) {
        const float d = to_float(through.at[j]);
        sum += static_cast<double>(d) * static_cast<double>(to_float(own.at[j]));
        store(weight * d, &out.at[j]);
      }
    }
    store_pack(out, dy + c);
  }
  sum = warp_sum(sum);
  if (lane == 0 && slot >= 0) args.dweights[slot] = static_cast<float>(sum);
  if (lane == 0 && args.rows[r] < 0) args.dweights[r] = 0;  // r as an assignment: it was dropped
}

template <class T>
void combine_backward_of(const CombineBackward& args, Stream& stream) {
  const Combination<T> combination{.dout = args.dout.as<T>(),
                                   .y = args.y.as<T>(),
                                   .rows = args.rows.as<std::int32_t>(),
                                   .slots = args.slots.as<std::int32_t>(),
                                   .weights = args.weights.as<float>(),
                                   .dy = args.dy.as<T>(),
                                   .dweights = args.dweights.as<float>(),
                                   .M = args.slots.dims[0],
                                   .k = args.rows.dims[1],
                                   .C = args.dout.dims[1]};
  const bool fits = fits_packs<T>(combination.C, {args.dout, args.y, args.dy});
  with_pack_size<T>(fits, [&](auto size) {
    combine_backward_kernel<decltype(size)::value>
        <<<grid_size(divide_up(combination.M, kWarpsOfBlock)), kThreads, 0, native(stream)>>>(
            combination);
    check_launch("combine_backward");
  });
}

}  // namespace

void sort_by_expert(const SortByExpert& args, Stream& stream) {
  const auto M = args.experts.count(), E = args.offsets.dims[0] - 1;
  const auto num_blocks = grid_size(divide_up(M, kThreads));
  const auto bytes = num_blocks * static_cast<std::size_t>(E) * sizeof(std::int32_t);
  const Scratch firsts(bytes, stream);
  const Sort sort{.experts = args.experts.as<std::int32_t>(),
                  .rows = args.rows.as<std::int32_t>(),
                  .slots = args.slots.as<std::int32_t>(),
                  .offsets = args.offsets.as<std::int32_t>(),
                  .firsts = firsts.as<std::int32_t>(),
                  .M = M,
                  .E = E,
                  .num_blocks = num_blocks};
  if (M > 0) {
    check(cudaMemsetAsync(sort.firsts, 0, bytes, native(stream)), "cudaMemsetAsync");
    check(cudaMemsetAsync(sort.slots, 0xff, args.slots.bytes(), native(stream)),  // all -1
          "cudaMemsetAsync");
    count_kernel<<<num_blocks, kThreads, 0, native(stream)>>>(sort);
    check_launch("sort_by_expert");
  }
  offsets_kernel<<<1, kThreads, 0, native(stream)>>>(sort);
  check_launch("sort_by_expert");
  if (M == 0) return;
  place_kernel<<<num_blocks, kThreads, 0, native(stream)>>>(sort);
  check_launch("sort_by_expert");
}

void permute_forward(const PermuteForward& args, Stream& stream) {
  with_float_type(args.x.dtype,
                  [&](auto element) { permute_forward_of<decltype(element)>(args, stream); });
}

void permute_backward(const PermuteBackward& args, Stream& stream) {
  with_float_type(args.dx.dtype, [&](auto element) {
    gather_rows<decltype(element)>(args.dy, args.rows, nullptr, args.dx, stream);
  });
}

void combine_forward(const CombineForward& args, Stream& stream) {
  with_float_type(args.out.dtype, [&](auto element) {
    gather_rows<decltype(element)>(args.y, args.rows, args.weights.as<float>(), args.out, stream);
  });
}

void combine_backward(const CombineBackward& args, Stream& stream) {
  with_float_type(args.dout.dtype,
                  [&](auto element) { combine_backward_of<decltype(element)>(args, stream); });
}

}  // namespace fulgur::cuda
