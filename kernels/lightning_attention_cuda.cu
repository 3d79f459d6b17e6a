#include <cuda_runtime.h>

#include "kernels/cuda_lightning.cuh"
#include "kernels/lightning_attention_impl.hpp"

// Lightning attention in plain float32, for any head size that shared memory can hold.
namespace fulgur::cuda {
namespace lightning {
namespace {

constexpr int kBlock = 32;    // tokens
constexpr int kColumns = 32;  // of v and o that a thread block has: X is cut along its columns

using FloatSweep = Sweep<float>;

// What a thread block holds in shared memory, in floats; rows of q, k and the state are padded by
// one.
struct Shared {
  float *q, *k;       // [kBlock, d + 1]
  float *v, *scores;  // [kBlock, kColumns + 1]
  float* state;       // [d, kColumns]
  float* power;       // [kBlock + 1]: lambda^i

  __host__ __device__ static std::size_t floats(std::int64_t d) {
    return static_cast<std::size_t>(2 * kBlock * (d + 1) + 2 * kBlock * (kColumns + 1) +
                                    d * kColumns + kBlock + 1);
  }
  __device__ Shared(float* memory, int d) {
    q = memory;
    k = q + kBlock * (d + 1);
    v = k + kBlock * (d + 1);
    scores = v + kBlock * (kColumns + 1);
    state = scores + kBlock * (kColumns + 1);
    power = state + d * kColumns;
  }
};

__device__ void load_state(const Shared& shared, const FloatSweep& args, std::int64_t segment,
                           std::int64_t head, int column) {
  const float* matrix = matrix_of(args.entering, args, segment, head);
  for (int i = static_cast<int>(threadIdx.x); i < args.d * kColumns; i += kThreads) {
    const int row = i / kColumns, c = column + i % kColumns;
    const bool has_value = matrix != nullptr && c < args.d;
    shared.state[i] = has_value ? matrix[place_in_matrix(args.entering, row, c, args.d)] : 0.0f;
  }
}

__device__ void store_state(const Shared& shared, const FloatSweep& args, std::int64_t segment,
                            std::int64_t head, int column) {
  float* matrix = matrix_of(args.leaving, args, segment, head);
  if (matrix == nullptr) return;
  for (int i = static_cast<int>(threadIdx.x); i < args.d * kColumns; i += kThreads) {
    const int row = i / kColumns, c = column + i % kColumns;
    if (c < args.d) matrix[place_in_matrix(args.leaving, row, c, args.d)] = shared.state[i];
  }
}

// The threads stand in a square of kSide; each has the elements (r + kSide i, c + kSide j) of a
// product [kBlock, kColumns], i, j < 2.
constexpr int kSide = 16;
static_assert(kSide * kSide == kThreads && 2 * kSide == kBlock && 2 * kSide == kColumns);

// scores[i][j] = lambda^(i-j) q_i k_j for j <= i, else 0
__device__ void make_scores(const Shared& shared, int d) {
  const int r = static_cast<int>(threadIdx.x) / kSide, c = static_cast<int>(threadIdx.x) % kSide;
  float sums[2][2] = {};
  const float *q = shared.q + r * (d + 1), *k = shared.k + c * (d + 1);
  for (int x = 0; x < d; ++x) {
    const float q0 = q[x], q1 = q[kSide * (d + 1) + x], k0 = k[x], k1 = k[kSide * (d + 1) + x];
    sums[0][0] += q0 * k0;
    sums[0][1] += q0 * k1;
    sums[1][0] += q1 * k0;
    sums[1][1] += q1 * k1;
  }
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      const int row = r + kSide * i, column = c + kSide * j;
      shared.scores[row * (kColumns + 1) + column] =
          column <= row ? shared.power[row - column] * sums[i][j] : 0.0f;
    }
  }
}

// o = scores v + lambda^(i+p) q X for the first `rows` tokens from `first` on.
__device__ void write_outputs(const Shared& shared, const FloatSweep& args, std::int64_t head,
                              std::int64_t first, int rows, int column) {
  const int r = static_cast<int>(threadIdx.x) / kSide, c = static_cast<int>(threadIdx.x) % kSide;
  const int step = static_cast<int>(args.direction);
  const int p = args.direction == Direction::kForward ? 1 : 0;
  float inside[2][2] = {}, entering[2][2] = {};
  for (int j = 0; j < kBlock; ++j) {
    for (int i = 0; i < 2; ++i) {
      const float score = shared.scores[(r + kSide * i) * (kColumns + 1) + j];
      for (int n = 0; n < 2; ++n)
        inside[i][n] += score * shared.v[j * (kColumns + 1) + c + kSide * n];
    }
  }
  for (int x = 0; x < args.d; ++x) {
    for (int i = 0; i < 2; ++i) {
      const float q = shared.q[(r + kSide * i) * (args.d + 1) + x];
      for (int n = 0; n < 2; ++n)
        entering[i][n] += q * shared.state[x * kColumns + c + kSide * n];
    }
  }
  for (int i = 0; i < 2; ++i) {
    const int row = r + kSide * i;
    if (row >= rows) continue;
    float* o = args.o.row(first + row * step, head) + column;
    for (int n = 0; n < 2; ++n) {
      const int at = c + kSide * n;
      if (column + at < args.d) o[at] = inside[i][n] + shared.power[row + p] * entering[i][n];
    }
  }
}

// X = lambda^c X + sum over the block of lambda^(c-i-p) k_i^T v_i
__device__ void pass_block(const Shared& shared, const FloatSweep& args, int rows) {
  const int p = args.direction == Direction::kForward ? 1 : 0;
  const int column = static_cast<int>(threadIdx.x) % kColumns;
  for (int x = static_cast<int>(threadIdx.x) / kColumns; x < args.d; x += kThreads / kColumns) {
    float sum = 0;
    for (int i = 0; i < rows; ++i) {
      sum += shared.power[rows - i - p] * shared.k[i * (args.d + 1) + x] *
             shared.v[i * (kColumns + 1) + column];
    }
    float& state = shared.state[x * kColumns + column];
    state = shared.power[rows] * state + sum;
  }
}

// One thread block per segment, head and kColumns columns.
__global__ void sweep_kernel(FloatSweep args) {
  extern __shared__ float memory[];
  const Shared shared(memory, args.d);
  const int column = static_cast<int>(blockIdx.x) * kColumns;
  const std::int64_t head = blockIdx.y;
  const int step = static_cast<int>(args.direction);
  const double rate = args.decay_rate[head];
  for (int i = static_cast<int>(threadIdx.x); i <= kBlock; i += kThreads)
    shared.power[i] = static_cast<float>(exp(-rate * i));

  require(args.starts[0] == 0 && args.starts[args.num_segments] == args.num_tokens);
  for (std::int64_t s = blockIdx.z; s < args.num_segments; s += gridDim.z) {
    const auto [begin, end] = tokens_of(args, s);
    if (!args.has_output && matrix_of(args.leaving, args, s, head) == nullptr) continue;
    __syncthreads();
    load_state(shared, args, s, head, column);
    for (auto done = std::int64_t{0}; done < end - begin; done += kBlock) {
      const auto first = step > 0 ? begin + done : end - 1 - done;
      const int rows = static_cast<int>(min(std::int64_t{kBlock}, end - begin - done));
      __syncthreads();
      load_rows<kBlock>(args.k, head, first, step, rows, 0, args.d, args.d, args.d + 1, shared.k);
      load_rows<kBlock>(args.v, head, first, step, rows, column, kColumns, args.d, kColumns + 1,
                        shared.v);
      if (args.has_output) {
        load_rows<kBlock>(args.q, head, first, step, rows, 0, args.d, args.d, args.d + 1, shared.q);
        __syncthreads();
        make_scores(shared, args.d);
        __syncthreads();
        write_outputs(shared, args, head, first, rows, column);
      }
      __syncthreads();
      pass_block(shared, args, rows);
    }
    __syncthreads();
    store_state(shared, args, s, head, column);
  }
}

}  // namespace

void launch(const FloatSweep& args, Stream& stream, const char* operation) {
  const auto bytes = Shared::floats(args.d) * sizeof(float);
  allow_shared_memory(sweep_kernel, bytes, operation);
  const dim3 grid(grid_size(divide_up(args.d, kColumns)), static_cast<unsigned>(args.num_heads),
                  static_cast<unsigned>(std::min(args.num_segments, kMostSegments)));
  sweep_kernel<<<grid, kThreads, bytes, native(stream)>>>(args);
  check_launch(operation);
}

}  // namespace lightning

namespace {

using lightning::Direction;
using lightning::States;
using lightning::Sweep;

States states_of(const Tensor& table, const Tensor& slots, bool is_transposed = false) {
  const bool is_empty = table.data == nullptr;
  return {.data = is_empty ? nullptr : table.as<float>(),
          .slot_of = slots.as<std::int32_t>(),
          .slots = is_empty ? 0 : table.dims[0],
          .is_transposed = is_transposed};
}

struct Roles {
  const Tensor &q, &k, &v, &o;
};

template <class T>
Sweep<T> sweep(const Roles& roles, const Tensor& decay_rate, const LightningSegments& segments,
               Direction direction) {
  return {.q = HeadsOf<T>(roles.q),
          .k = HeadsOf<T>(roles.k),
          .v = HeadsOf<T>(roles.v),
          .o = HeadsOf<T>(roles.o),
          .entering = {},
          .leaving = {},
          .decay_rate = decay_rate.as<float>(),
          .starts = segments.starts.as<std::int32_t>(),
          .num_tokens = roles.k.dims[0],
          .num_heads = roles.k.dims[1],
          .num_segments = segments.in_slot.dims[0],
          .d = static_cast<int>(roles.k.dims[2]),
          .direction = direction,
          .has_output = true};
}

template <class T>
void state_forward(const LightningStateForward& args, Stream& stream) {
  auto states = sweep<T>({args.k, args.k, args.v, args.v}, args.decay_rate, args.segments,
                         Direction::kForward);
  states.has_output = false;
  states.leaving = states_of(args.states, args.segments.out_slot);
  launch(states, stream, "lightning_state_forward");
}

template <class T>
void output_forward(const LightningOutputForward& args, Stream& stream) {
  auto outputs = sweep<T>({args.q, args.k, args.v, args.o}, args.decay_rate, args.segments,
                          Direction::kForward);
  outputs.entering = states_of(args.states_in, args.segments.in_slot);
  launch(outputs, stream, "lightning_output_forward");
}

template <class T>
void state_backward(const LightningStateBackward& args, Stream& stream) {
  auto dstates = sweep<T>({args.q, args.q, args.dout, args.dout}, args.decay_rate, args.segments,
                          Direction::kBackward);
  dstates.has_output = false;
  dstates.leaving = states_of(args.dstates, args.segments.in_slot);
  launch(dstates, stream, "lightning_state_backward");
}

template <class T>
void output_backward(const LightningOutputBackward& args, Stream& stream) {
  constexpr auto kOperation = "lightning_output_backward";
  const auto& segments = args.segments;
  auto dq = sweep<T>({args.dout, args.v, args.k, args.dq}, args.decay_rate, segments,
                     Direction::kForward);
  dq.entering = states_of(args.states_in, segments.in_slot, true);
  launch(dq, stream, kOperation);
  auto dk = sweep<T>({args.v, args.dout, args.q, args.dk}, args.decay_rate, segments,
                     Direction::kBackward);
  dk.entering = states_of(args.dstates_out, segments.out_slot, true);
  launch(dk, stream, kOperation);
  auto dv = sweep<T>({args.k, args.q, args.dout, args.dv}, args.decay_rate, segments,
                     Direction::kBackward);
  dv.entering = states_of(args.dstates_out, segments.out_slot);
  launch(dv, stream, kOperation);
}

bool is_bf16(const Tensor& tensor) {
  return tensor.dtype == DType::kBFloat16;
}

}  // namespace

void lightning_state_forward(const LightningStateForward& args, Stream& stream) {
  if (args.segments.in_slot.dims[0] == 0) return;
  return is_bf16(args.k) ? state_forward<__nv_bfloat16>(args, stream)
                         : state_forward<float>(args, stream);
}

void lightning_output_forward(const LightningOutputForward& args, Stream& stream) {
  if (args.segments.in_slot.dims[0] == 0) return;
  return is_bf16(args.k) ? output_forward<__nv_bfloat16>(args, stream)
                         : output_forward<float>(args, stream);
}

void lightning_state_backward(const LightningStateBackward& args, Stream& stream) {
  if (args.segments.in_slot.dims[0] == 0) return;
  return is_bf16(args.q) ? state_backward<__nv_bfloat16>(args, stream)
                         : state_backward<float>(args, stream);
}

void lightning_output_backward(const LightningOutputBackward& args, Stream& stream) {
  if (args.segments.in_slot.dims[0] == 0) return;
  return is_bf16(args.q) ? output_backward<__nv_bfloat16>(args, stream)
                         : output_backward<float>(args, stream);
}

}  // namespace fulgur::cuda
