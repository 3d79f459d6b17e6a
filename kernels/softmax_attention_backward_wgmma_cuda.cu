#include <cuda_runtime.h>

#include "kernels/cuda_softmax_tiles.cuh"
#include "kernels/cuda_wgmma.cuh"

// The gradients of FlashAttention of bfloat16 with Hopper's products of warpgroups, with float32
// sums: one kernel for dq, whose blocks have queries, and one for dk and dv, whose blocks have
// keys. So every sum has one writer and one order, at the price of seven products where a sum over
// blocks would take five. What comes by is brought one tile ahead. d is filled up with zeros to
// kDims, 64 or 128.
namespace fulgur::cuda::softmax {
namespace {

constexpr int kOwn = 128;         // queries, or keys, of a block
constexpr int kOther = 64;        // of a tile that comes by
constexpr int kGroup = 128;       // threads of a warpgroup
constexpr int kRowsOfGroup = 64;  // of its own
constexpr int kNumThreads = kOwn / kRowsOfGroup * kGroup;

__device__ int first_row_of_group() {
  return static_cast<int>(threadIdx.x) / kGroup * kRowsOfGroup;
}
__device__ int row_of(int half) {
  return warp() * 16 + 8 * half + lane() / 4;
}

__device__ void receive() {
  wait_for_copies();
  hopper::publish_writes();
  __syncthreads();
}

namespace queries {

// kDims = 128: (2 x 128 + 2 x 2 x 64) x 128 x 2 B = 128 KiB
template <int kDims>
struct Shared {
  hopper::Boxes<kOwn, kDims> q, dout;
  struct {
    hopper::Boxes<kOther, kDims> k, v;
  } tiles[2];
};

template <int kDims>
__global__ void __launch_bounds__(kNumThreads, 1) dq_kernel(BackwardArgs<Bf16> args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  auto& shared = hopper::shared_memory<Shared<kDims>>();
  const HeadAndTile work(args.H);
  const auto [span, first, num_rows] = find_tile<kOwn>(args, work.from_end);
  if (first < 0) return;
  const auto head = work.head, kv_head = head / (args.H / args.G);
  const auto num_keys = span.num_seen(first + num_rows - 1), seen_by_all = span.num_seen(first);
  const auto begin_tile = [&](std::int64_t key) {
    if (key < num_keys) {
      auto& [k, v] = shared.tiles[key / kOther % 2];
      begin_rows<kNumThreads>(args.k, kv_head, span.k_begin + key, num_keys - key, args.d, k);
      begin_rows<kNumThreads>(args.v, kv_head, span.k_begin + key, num_keys - key, args.d, v);
    }
  };
  begin_rows<kNumThreads>(args.q, head, first, num_rows, args.d, shared.q);
  begin_rows<kNumThreads>(args.dout, head, first, num_rows, args.d, shared.dout);
  begin_tile(0);

  const auto token_of = [&](int half) { return first + min(row_of(half), num_rows - 1); };
  const RowNumbers numbers[2]{{args, token_of(0), head}, {args, token_of(1), head}};
  const float scale = args.scale * kLog2E;
  Sums dq[kDims / 8] = {};
  for (std::int64_t key = 0; key < num_keys; key += kOther) {
    const auto& [k, v] = shared.tiles[key / kOther % 2];
    receive();  // nobody reads the tile before
    begin_tile(key + kOther);
    Sums scores[kOther / 8], dp[kOther / 8];
    hopper::begin_products();
    hopper::multiply_rows(scores, shared.q, first_row_of_group(), k);
    hopper::multiply_rows(dp, shared.dout, first_row_of_group(), v);
    hopper::end_products();
    hopper::wait_for_products<0>();
    hopper::hold(scores);
    hopper::hold(dp);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const auto sees = key + kOther > seen_by_all ? span.num_seen(token_of(half)) - key : kOther;
      const int seen = static_cast<int>(min(sees, std::int64_t{kOther}));
      make_score_gradients(scores, dp, half, seen, scale, numbers[half]);
    }
    A ds[kOther / 16];
    hopper::pack_rows(dp, ds);
    hopper::begin_products();
    hopper::add_rows(dq, ds, k);
    hopper::end_products();
    hopper::wait_for_products<0>();
    hopper::hold(dq);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = row_of(half);
    if (row < num_rows) add_row(dq, half, args.scale, args.dq, first + row, head, args.d);
  }
#else
  __trap();
#endif
}

template <int kDims>
void launch(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = hopper::kSharedBytes<Shared<kDims>>;
  allow_shared_memory(dq_kernel<kDims>, kBytes, operation);
  const auto grid = grid_size(num_query_tiles<kOwn>(args) * args.H);
  dq_kernel<kDims><<<grid, kNumThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace queries

// Scores are calculated transposed, so that the rows of sums are those of dk and dv.
namespace keys {

// kDims = 128: (2 x 128 + 2 x 2 x 64) x 128 x 2 B + 2 x 2 x 64 x 4 B = 129 KiB
template <int kDims>
struct Shared {
  hopper::Boxes<kOwn, kDims> k, v;
  struct Tile {
    hopper::Boxes<kOther, kDims> q, dout;
    float lse[kOther], delta[kOther];
  } tiles[2];
};

template <int kDims>
__device__ void begin_tile(const BackwardArgs<Bf16>& args, const Walk<kOther>& walk,
                           typename Shared<kDims>::Tile& to) {
  const auto rows = walk.span.q_end - walk.query;
  begin_rows<kNumThreads>(args.q, walk.head, walk.query, rows, args.d, to.q);
  begin_rows<kNumThreads>(args.dout, walk.head, walk.query, rows, args.d, to.dout);
  const int row = static_cast<int>(threadIdx.x) % kOther;
  const bool inside = row < rows;
  const auto at = (walk.query + (inside ? row : 0)) * args.H + walk.head;
  if (threadIdx.x < kOther) begin_copy<4>(&to.lse[row], args.lse + at, inside);
  if (threadIdx.x / kOther == 1) begin_copy<4>(&to.delta[row], args.delta + at, inside);
}

template <int kDims>
__global__ void __launch_bounds__(kNumThreads, 1) dk_dv_kernel(BackwardArgs<Bf16> args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  auto& shared = hopper::shared_memory<Shared<kDims>>();
  const HeadAndTile work(args.G);
  const auto first = work.from_begin * kOwn, kv_head = work.head;
  const auto num_rows = min(args.S - first, std::int64_t{kOwn});
  Walk<kOther> walk(args, first, num_rows, kv_head);
  if (walk.is_over()) return;
  begin_rows<kNumThreads>(args.k, kv_head, first, num_rows, args.d, shared.k);
  begin_rows<kNumThreads>(args.v, kv_head, first, num_rows, args.d, shared.v);
  begin_tile<kDims>(args, walk, shared.tiles[0]);

  const float scale = args.scale * kLog2E;
  Sums dk[kDims / 8] = {}, dv[kDims / 8] = {};
  for (int number = 0; !walk.is_over(); ++number) {
    const auto& tile = shared.tiles[number % 2];
    const Sight<kOwn> sight(walk.span, first, walk.query);
    receive();  // nobody reads the tile before
    walk.next();
    if (!walk.is_over()) begin_tile<kDims>(args, walk, shared.tiles[(number + 1) % 2]);

    Sums p[kOther / 8], dp[kOther / 8];
    hopper::begin_products();
    hopper::multiply_rows(p, shared.k, first_row_of_group(), tile.q);
    hopper::end_products();
    hopper::begin_products();
    hopper::multiply_rows(dp, shared.v, first_row_of_group(), tile.dout);
    hopper::end_products();
    hopper::wait_for_products<1>();
    hopper::hold(p);
    make_weights(p, warp() * 16, sight, scale, tile.lse);
    A weights[kOther / 16], ds[kOther / 16];
    hopper::pack_rows(p, weights);
    hopper::begin_products();
    hopper::add_rows(dv, weights, tile.dout);
    hopper::end_products();
    hopper::wait_for_products<1>();
    hopper::hold(dp);
    make_score_gradients(p, dp, tile.delta);
    hopper::pack_rows(dp, ds);
    hopper::begin_products();
    hopper::add_rows(dk, ds, tile.q);
    hopper::end_products();
    hopper::wait_for_products<0>();
    hopper::hold(dv);
    hopper::hold(dk);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const auto row = row_of(half);
    if (row >= num_rows) continue;
    add_row(dk, half, args.scale, args.dk, first + row, kv_head, args.d);
    add_row(dv, half, 1.0f, args.dv, first + row, kv_head, args.d);
  }
#else
  __trap();
#endif
}

template <int kDims>
void launch(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation) {
  constexpr auto kBytes = hopper::kSharedBytes<Shared<kDims>>;
  allow_shared_memory(dk_dv_kernel<kDims>, kBytes, operation);
  const auto grid = grid_size(divide_up(args.S, kOwn) * args.G);
  dk_dv_kernel<kDims><<<grid, kNumThreads, kBytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace keys

}  // namespace

void backward_on_hopper(const BackwardArgs<Bf16>& args, Stream& stream, const char* operation) {
  if (args.d <= 64) {
    queries::launch<64>(args, stream, operation);
    keys::launch<64>(args, stream, operation);
  } else {
    queries::launch<kMostTensorDims>(args, stream, operation);
    keys::launch<kMostTensorDims>(args, stream, operation);
  }
}

}  // namespace fulgur::cuda::softmax
