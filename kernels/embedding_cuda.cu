#include <cuda_runtime.h>

#include "kernels/cuda_packs.cuh"
#include "kernels/embedding_impl.hpp"

//   T tokens, V rows of the part of the table, C columns
namespace fulgur::cuda {
namespace {

// How often every id of the part occurs, and the first token that has it. [V]
struct Occurrences {
  std::int32_t *counts, *firsts;
};

__global__ void count_kernel(const std::int32_t* ids, std::int64_t tokens, std::int32_t first_id,
                             std::int64_t V, Occurrences of) {
  const auto t = static_cast<std::int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
  if (t >= tokens) return;
  const auto row = std::int64_t{ids[t]} - first_id;
  if (row < 0 || row >= V) return;
  atomicAdd(of.counts + row, 1);
  atomicMin(of.firsts + row, t);
}

template <class T>
struct Backward {
  const std::int32_t* ids;
  const T* dy;
  float* dweight;
  Occurrences of;
  std::int64_t tokens, V, C;
  std::int32_t first_id;
};

// One block per token. The block of the first token with an id adds up all tokens with that id, in rising
// order, window by window until it has them; the others have nothing to do.
template <int N, class T>
__global__ void backward_kernel(Backward<T> args) {
  __shared__ std::int32_t same[kThreads];  // tokens of one window that have the id, in rising order
  __shared__ int num_of_warps[kThreads / kWarp];
  const std::int64_t first = blockIdx.x;
  const auto id = args.ids[first];
  const auto row = std::int64_t{id} - args.first_id;
  if (row < 0 || row >= args.V || args.of.firsts[row] != first) return;

  float* dweight = args.dweight + row * args.C;
  const auto lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  int left = args.of.counts[row];
  for (auto window = first; left > 0; window += kThreads) {
    const auto t = window + threadIdx.x;
    const bool is_same = t < args.tokens && args.ids[t] == id;
    const auto of_warp = __ballot_sync(kAllLanes, is_same);
    if (lane == 0) num_of_warps[warp] = __popc(of_warp);
    __syncthreads();
    int before = 0, all = 0;
    for (unsigned w = 0; w < kThreads / kWarp; ++w) {
      if (w < warp) before += num_of_warps[w];
      all += num_of_warps[w];
    }
    if (is_same) same[before + __popc(of_warp & ((1u << lane) - 1))] = static_cast<int>(t);
    __syncthreads();
    left -= all;
    if (all > 0) {
      for (auto c = std::int64_t{threadIdx.x} * N; c < args.C; c += kThreads * N) {
        auto sum = load_pack<N>(dweight + c);
#pragma unroll 4
        for (int i = 0; i < all; ++i) {
          const auto dy = load_pack<N>(args.dy + same[i] * args.C + c);
          for (int j = 0; j < N; ++j)
            sum.at[j] += to_float(dy.at[j]);
        }
        store_pack(sum, dweight + c);
      }
    }
    __syncthreads();
  }
}

template <class T>
void forward_of(const EmbeddingForward& args, Stream& stream) {
  const auto V = args.weight.dims[0], C = args.weight.dims[1];
  const auto first_id = args.first_id;
  const auto* ids = args.ids.as<std::int32_t>();
  const auto* weight = args.weight.as<T>();
  auto* y = args.y.as<T>();
  for_each_row_pack<T>(args.ids.dims[0], C, is_aligned(args.weight) && is_aligned(args.y), stream,
                       "embedding_forward",
                       [=] __device__(std::int64_t t, std::int64_t c, auto size) {
                         constexpr int N = decltype(size)::value;
                         const auto row = std::int64_t{ids[t]} - first_id;
                         Pack<T, N> pack = {};
                         if (row >= 0 && row < V) pack = load_pack<N>(weight + row * C + c);
                         store_pack(pack, y + t * C + c);
                       });
}

template <class T>
void backward_of(const EmbeddingBackward& args, Stream& stream) {
  const auto V = args.dweight.dims[0], tokens = args.ids.dims[0];
  const auto bytes = static_cast<std::size_t>(V) * sizeof(std::int32_t);
  const Scratch scratch(2 * bytes, stream);
  const Occurrences of{.counts = scratch.as<std::int32_t>(),
                       .firsts = scratch.as<std::int32_t>() + V};
  check(cudaMemsetAsync(of.counts, 0, bytes, native(stream)), "cudaMemsetAsync");
  check(cudaMemsetAsync(of.firsts, 0x7f, bytes, native(stream)), "cudaMemsetAsync");  // large
  count_kernel<<<grid_size(divide_up(tokens, kThreads)), kThreads, 0, native(stream)>>>(
      args.ids.as<std::int32_t>(), tokens, args.first_id, V, of);
  check_launch("embedding_backward");
  const Backward<T> backward{.ids = args.ids.as<std::int32_t>(),
                             .dy = args.dy.as<T>(),
                             .dweight = args.dweight.as<float>(),
                             .of = of,
                             .tokens = tokens,
                             .V = V,
                             .C = args.dweight.dims[1],
                             .first_id = args.first_id};
  with_pack_size<T>(fits_packs<T>(backward.C, {args.dy, args.dweight}), [&](auto size) {
    backward_kernel<decltype(size)::value>
        <<<grid_size(backward.tokens), kThreads, 0, native(stream)>>>(backward);
    check_launch("embedding_backward");
  });
}

}  // namespace

void embedding_forward(const EmbeddingForward& args, Stream& stream) {
  with_float_type(args.y.dtype, [&](auto element) { forward_of<decltype(element)>(args, stream); });
}

void embedding_backward(const EmbeddingBackward& args, Stream& stream) {
  with_float_type(args.dy.dtype,
                  [&](auto element) { backward_of<decltype(element)>(args, stream); });
}

}  // namespace fulgur::cuda
