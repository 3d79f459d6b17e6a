#include <cuda_runtime.h>

#include "kernels/cuda_heads.cuh"
#include "kernels/softmax_merge_impl.hpp"

namespace fulgur::cuda {
namespace {

constexpr int kWarpsOfBlock = kThreads / kWarp;

struct Merge {
  Heads part_o, o;
  const float* part_lse;
  float* lse;
  std::int64_t rows, H;  // rows = tokens times heads
  int d;
};

// One warp per token and head.
__global__ void merge_kernel(Merge args) {
  const auto row = std::int64_t{blockIdx.x} * kWarpsOfBlock + threadIdx.x / kWarp;
  if (row >= args.rows) return;
  const float part_lse = args.part_lse[row], lse = args.lse[row];
  if (part_lse == -INFINITY) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const float greater = fmaxf(lse, part_lse);
  const float kept = expf(lse - greater), added = expf(part_lse - greater), sum = kept + added;
  const float kept_share = kept / sum, added_share = added / sum;
  const float* part = args.part_o.row(row / args.H, row % args.H);
  float* o = args.o.row(row / args.H, row % args.H);
  for (int i = lane; i < args.d; i += kWarp)
    o[i] = kept_share * o[i] + added_share * part[i];
  __syncwarp();  // every lane has read lse
  if (lane == 0) args.lse[row] = greater + logf(sum);
}

}  // namespace

void softmax_merge(const SoftmaxMerge& args, Stream& stream) {
  const auto rows = args.lse.count();
  const Merge merge{.part_o = Heads(args.part_o),
                    .o = Heads(args.o),
                    .part_lse = args.part_lse.as<float>(),
                    .lse = args.lse.as<float>(),
                    .rows = rows,
                    .H = args.o.dims[1],
                    .d = static_cast<int>(args.o.dims[2])};
  merge_kernel<<<grid_size(divide_up(rows, kWarpsOfBlock)), kThreads, 0, native(stream)>>>(merge);
  check_launch("softmax_merge");
}

}  // namespace fulgur::cuda
