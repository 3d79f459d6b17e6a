#include <cuda_runtime.h>

#include "kernels/cuda_softmax_tiles.cuh"
#include "kernels/cuda_wgmma.cuh"

// FlashAttention of bfloat16 with Hopper's products of warpgroups, with float32 sums. A thread
// block has kQueries queries of one head, a warpgroup 64 of them; the keys and values that they see
// come by in tiles of kKeys. While the weights of one tile meet their values, the scores of the
// next are multiplied and made weights (as in FlashAttention-3, arXiv 2407.08608). d is filled up
// with zeros to kDims, 64 or 128.
namespace fulgur::cuda::softmax {
namespace {

constexpr int kQueries = 128, kKeys = 128;
constexpr int kGroup = 128;  // threads of a warpgroup
constexpr int kRowsOfGroup = 64;
constexpr int kNumThreads = kQueries / kRowsOfGroup * kGroup;

// kDims = 128: 5 x 128 x 128 x 2 B = 160 KiB
template <int kDims>
struct Shared {
  hopper::Boxes<kQueries, kDims> q;
  hopper::Boxes<kKeys, kDims> k[2], v[2];
};

// The rows of this lane are those of the warpgroup's 64 that begin at `top`.
__device__ int row_of(int half) {
  return warp() * 16 + 8 * half + lane() / 4;
}

// What the threads of a block have in common.
template <int kDims>
struct Block {
  const Args<Bf16>& args;
  Shared<kDims>& shared;
  Span span;
  std::int64_t first, head, num_keys, seen_by_all;

  __device__ void begin(const HeadsOf<Bf16>& x, std::int64_t tile,
                        hopper::Boxes<kKeys, kDims> (&to)[2]) const {
    const auto key = tile * kKeys, kv_head = head / (args.H / args.G);
    if (key < num_keys)
      begin_rows<kNumThreads>(x, kv_head, span.k_begin + key, num_keys - key, args.d, to[tile % 2]);
  }
  // All threads: what has begun is there.
  __device__ void receive() const {
    wait_for_copies();
    hopper::publish_writes();
    __syncthreads();
  }
};

using Scores = Sums[kKeys / 8];

template <int kDims>
__device__ __forceinline__ void queue_scores(const Block<kDims>& block, std::int64_t tile,
                                             Scores& scores) {
  const int top = static_cast<int>(threadIdx.x) / kGroup * kRowsOfGroup;
  hopper::begin_products();
  hopper::multiply_rows(scores, block.shared.q, top, block.shared.k[tile % 2]);
  hopper::end_products();
}

template <int kDims>
__device__ __forceinline__ void queue_values(const Block<kDims>& block, std::int64_t tile,
                                             const A (&weights)[kKeys / 16], Sums (&o)[kDims / 8]) {
  hopper::begin_products();
  hopper::add_rows(o, weights, block.shared.v[tile % 2]);
  hopper::end_products();
}

// Makes the scores of a tile weights, in the rows of one half. Returns by how much sums so far are
// too large.
template <int kDims>
__device__ __forceinline__ float weigh_tile(const Block<kDims>& block, std::int64_t tile,
                                            Scores& scores, int half, RowSoFar& row) {
  scale_row(scores, half, block.args.scale * kLog2E);
  const auto key = tile * kKeys;
  const bool all_see = key + kKeys <= block.seen_by_all;
  const auto sees = all_see ? kKeys : block.span.num_seen(block.first + row_of(half)) - key;
  return weigh(scores, half, static_cast<int>(min(sees, std::int64_t{kKeys})), row);
}

// o and lse of the rows of this warpgroup. All threads of the block call it together.
template <int kDims>
__device__ __forceinline__ void attend(const Block<kDims>& block, Sums (&o)[kDims / 8],
                                       RowSoFar (&rows)[2]) {
  auto& shared = block.shared;
  const auto num_tiles = divide_up(block.num_keys, kKeys);
  block.begin(block.args.k, 0, shared.k);
  block.receive();
  block.begin(block.args.k, 1, shared.k);
  block.begin(block.args.v, 0, shared.v);
  Scores scores;
  A weights[kKeys / 16];
  queue_scores(block, 0, scores);
  hopper::wait_for_products<0>();
  hopper::hold(scores);
  weigh_tile(block, 0, scores, 0, rows[0]);
  weigh_tile(block, 0, scores, 1, rows[1]);
  hopper::pack_rows(scores, weights);
  for (std::int64_t tile = 0; tile + 1 < num_tiles; ++tile) {
    block.receive();  // nobody multiplies with the tiles before any more
    block.begin(block.args.k, tile + 2, shared.k);
    block.begin(block.args.v, tile + 1, shared.v);
    queue_scores(block, tile + 1, scores);
    queue_values(block, tile, weights, o);
    hopper::wait_for_products<1>();
    hopper::hold(scores);
    const float shrink[2]{weigh_tile(block, tile + 1, scores, 0, rows[0]),
                          weigh_tile(block, tile + 1, scores, 1, rows[1])};
    hopper::wait_for_products<0>();
    hopper::hold(o);
    scale_row(o, 0, shrink[0]);
    scale_row(o, 1, shrink[1]);
    hopper::pack_rows(scores, weights);
  }
  block.receive();
  queue_values(block, num_tiles - 1, weights, o);
  hopper::wait_for_products<0>();
  hopper::hold(o);
}

// One block per tile of queries and head.
template <int kDims>
__global__ void __launch_bounds__(kNumThreads, 1) forward_kernel(Args<Bf16> args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  auto& shared = hopper::shared_memory<Shared<kDims>>();
  const HeadAndTile work(args.H);
  const auto [span, first, num_rows] = find_tile<kQueries>(args, work.from_end);
  if (first < 0) return;
  const auto num_keys = span.num_seen(first + num_rows - 1);
  if (num_keys == 0) return;  // see_nothing_kernel has written what they get
  begin_rows<kNumThreads>(args.q, work.head, first, num_rows, args.d, shared.q);
  Sums o[kDims / 8] = {};
  RowSoFar rows[2];
  attend<kDims>({args, shared, span, first, work.head, num_keys, span.num_seen(first)}, o, rows);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = row_of(half);
    write_row(args, o, half, rows[half], first + row, work.head, row < num_rows);
  }
#else
  __trap();
#endif
}

template <int kDims>
void launch_for(const Args<Bf16>& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = hopper::kSharedBytes<Shared<kDims>>;
  allow_shared_memory(forward_kernel<kDims>, kBytes, operation);
  const auto grid = grid_size(num_query_tiles<kQueries>(args) * args.H);
  forward_kernel<kDims><<<grid, kNumThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace

void forward_on_hopper(const Args<Bf16>& args, Stream& stream, const char* operation) {
  if (args.d <= 64) return launch_for<64>(args, stream, operation);
  return launch_for<kMostTensorDims>(args, stream, operation);
}

}  // namespace fulgur::cuda::softmax
