#include <cuda_runtime.h>

#include "kernels/cuda_floats.cuh"
#include "kernels/cuda_heads.cuh"
#include "kernels/softmax_merge_impl.hpp"

namespace fulgur::cuda {
namespace {

constexpr int kWarpsOfBlock = kThreads / kWarp;

template <class Part, class Sum>
struct Merge {
  HeadsOf<Part> part_o;
  HeadsOf<Sum> o;
  const float* part_lse;
  float* lse;
  std::int64_t rows, H;  // rows = tokens times heads
  int d;
};

// One warp per token and head.
template <class Part, class Sum>
__global__ void merge_kernel(Merge<Part, Sum> args) {
  const auto row = std::int64_t{blockIdx.x} * kWarpsOfBlock + threadIdx.x / kWarp;
  if (row >= args.rows) return;
  const float part_lse = args.part_lse[row], lse = args.lse[row];
  if (part_lse == -INFINITY) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const float greater = fmaxf(lse, part_lse);
  const float kept = expf(lse - greater), added = expf(part_lse - greater), sum = kept + added;
  const float kept_share = kept / sum, added_share = added / sum;
  const Part* part = args.part_o.row(row / args.H, row % args.H);
  Sum* o = args.o.row(row / args.H, row % args.H);
  for (int i = lane; i < args.d; i += kWarp)
    store(kept_share * to_float(o[i]) + added_share * to_float(part[i]), &o[i]);
  __syncwarp();  // every lane has read lse
  if (lane == 0) args.lse[row] = greater + logf(sum);
}

template <class Part, class Sum>
void merge(const SoftmaxMerge& args, Stream& stream) {
  const auto rows = args.lse.count();
  const Merge<Part, Sum> merge{.part_o = HeadsOf<Part>(args.part_o),
                               .o = HeadsOf<Sum>(args.o),
                               .part_lse = args.part_lse.as<float>(),
                               .lse = args.lse.as<float>(),
                               .rows = rows,
                               .H = args.o.dims[1],
                               .d = static_cast<int>(args.o.dims[2])};
  merge_kernel<<<grid_size(divide_up(rows, kWarpsOfBlock)), kThreads, 0, native(stream)>>>(merge);
  check_launch("softmax_merge");
}

}  // namespace

void softmax_merge(const SoftmaxMerge& args, Stream& stream) {
  with_float_type(args.part_o.dtype, [&](auto part) {
    with_float_type(args.o.dtype,
                    [&](auto sum) { merge<decltype(part), decltype(sum)>(args, stream); });
  });
}

}  // namespace fulgur::cuda
