#include <cuda_runtime.h>

#include "kernels/cuda_heads.cuh"
#include "kernels/lightning_carry_impl.hpp"

// In plain float32 between elements that are float32 or bfloat16, for any head size that shared
// memory can hold.
namespace fulgur::cuda {
namespace {

constexpr int kBlock = 32;    // tokens
constexpr int kColumns = 32;  // of y that a thread block has
constexpr int kRowsAtOnce = kThreads / kColumns;

__device__ float power(float rate, std::int64_t exponent) {
  return static_cast<float>(exp(-static_cast<double>(rate) * static_cast<double>(exponent)));
}

struct Fold {
  const float *states, *decay_rate;
  const std::int32_t* distance;
  float* out;
  std::int64_t J, H, size;
  bool add;
};

// One thread block per head, place and kThreads elements of the state.
__global__ void fold_kernel(Fold args) {
  __shared__ float factors[kThreads];
  const std::int64_t h = blockIdx.y, p = blockIdx.z;
  const auto i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const bool inside = i < args.size;
  float* out = args.out + (p * args.H + h) * args.size + i;
  float sum = args.add && inside ? *out : 0.0f;
  for (std::int64_t first = 0; first < args.J; first += kThreads) {
    const auto j = first + threadIdx.x;
    const std::int64_t distance = j < args.J ? args.distance[p * args.J + j] : -1;
    __syncthreads();
    factors[threadIdx.x] = distance < 0 ? -1.0f : power(args.decay_rate[h], distance);
    __syncthreads();
    const auto count = min(std::int64_t{kThreads}, args.J - first);
    for (std::int64_t n = 0; inside && n < count; ++n) {
      if (factors[n] >= 0.0f)
        sum += factors[n] * args.states[((first + n) * args.H + h) * args.size + i];
    }
  }
  if (inside) *out = sum;
}

// y_t += lambda^e x_t A for the tokens of the segments that have a state A. It stands before the
// segment, e = t, or behind it, e = n - t.
template <class Element>
struct Carry {
  HeadsOf<Element> x, y;
  const float *states, *decay_rate;
  const std::int32_t *starts, *slot_of;
  std::int64_t T, H, slots, num_segments;
  int d;
  bool is_transposed, stands_behind;
};

// The columns [column, column + kColumns) of A, zeros behind the last one.
template <class Element>
__device__ void load_state(const Carry<Element>& args, std::int64_t slot, std::int64_t head,
                           int column, float* state) {
  const float* matrix = args.states + (slot * args.H + head) * args.d * args.d;
  for (int i = static_cast<int>(threadIdx.x); i < args.d * kColumns; i += kThreads) {
    const int row = i / kColumns, c = column + i % kColumns;
    const auto at =
        args.is_transposed ? std::int64_t{c} * args.d + row : std::int64_t{row} * args.d + c;
    state[i] = c < args.d ? matrix[at] : 0.0f;
  }
}

template <class Element>
__device__ void add_rows(const Carry<Element>& args, std::int64_t head, std::int64_t first,
                         int rows, int column, const float* factors, const float* x,
                         const float* state) {
  const int c = static_cast<int>(threadIdx.x) % kColumns;
  if (column + c >= args.d) return;
  for (int r = static_cast<int>(threadIdx.x) / kColumns; r < rows; r += kRowsAtOnce) {
    float sum = 0;
    for (int i = 0; i < args.d; ++i)
      sum += x[r * args.d + i] * state[i * kColumns + c];
    Element* const y = args.y.row(first + r, head) + column + c;
    store(to_float(*y) + factors[r] * sum, y);
  }
}

// The blocks of tokens of a segment, counted away from the state, are shared by the grid's z dim.
template <class Element>
__global__ void carry_kernel(Carry<Element> args) {
  extern __shared__ float memory[];
  float *state = memory, *x = state + args.d * kColumns, *factors = x + kBlock * args.d;
  const int column = static_cast<int>(blockIdx.x) * kColumns;
  const std::int64_t head = blockIdx.y;
  const float rate = args.decay_rate[head];
  require(args.starts[0] == 0 && args.starts[args.num_segments] == args.T);
  for (std::int64_t s = 0; s < args.num_segments; ++s) {
    const std::int64_t begin = args.starts[s], end = args.starts[s + 1], slot = args.slot_of[s];
    require(begin >= 0 && begin <= end && end <= args.T && slot < args.slots);
    if (slot < 0 || std::int64_t{blockIdx.z} * kBlock >= end - begin) continue;
    __syncthreads();
    load_state(args, slot, head, column, state);
    for (auto done = std::int64_t{blockIdx.z} * kBlock; done < end - begin;
         done += std::int64_t{gridDim.z} * kBlock) {
      const int rows = static_cast<int>(min(std::int64_t{kBlock}, end - begin - done));
      if (power(rate, done + (args.stands_behind ? 0 : 1)) == 0.0f) break;
      const auto first = args.stands_behind ? end - done - rows : begin + done;
      __syncthreads();
      for (int r = static_cast<int>(threadIdx.x); r < rows; r += kThreads)
        factors[r] = power(rate, args.stands_behind ? done + rows - 1 - r : done + r + 1);
      load_rows<kBlock>(args.x, head, first, 1, rows, 0, args.d, args.d, args.d, x);
      __syncthreads();
      add_rows(args, head, first, rows, column, factors, x, state);
    }
  }
}

template <class Element>
void launch(const Carry<Element>& args, Stream& stream, const char* operation) {
  if (args.num_segments == 0 || args.slots == 0) return;
  const auto floats = static_cast<std::size_t>(args.d) * (kColumns + kBlock) + kBlock;
  const auto bytes = floats * sizeof(float);
  allow_shared_memory(carry_kernel<Element>, bytes, operation);
  constexpr std::int64_t kTokensOfBlock = 8 * kBlock, kMostBlocks = 1024;
  const auto blocks = std::min(divide_up(args.T, kTokensOfBlock), kMostBlocks);
  const dim3 grid(grid_size(divide_up(args.d, kColumns)), static_cast<unsigned>(args.H),
                  static_cast<unsigned>(blocks));
  carry_kernel<<<grid, kThreads, bytes, native(stream)>>>(args);
  check_launch(operation);
}

template <class Element>
Carry<Element> carry(const Tensor& x, const Tensor& y, const Tensor& states,
                     const Tensor& decay_rate) {
  const bool is_empty = states.data == nullptr;
  return {.x = HeadsOf<Element>(x),
          .y = HeadsOf<Element>(y),
          .states = is_empty ? nullptr : states.as<float>(),
          .decay_rate = decay_rate.as<float>(),
          .starts = nullptr,
          .slot_of = nullptr,
          .T = x.dims[0],
          .H = x.dims[1],
          .slots = is_empty ? 0 : states.dims[0],
          .num_segments = 0,
          .d = static_cast<int>(x.dims[2]),
          .is_transposed = false,
          .stands_behind = false};
}

template <class Element>
void set_segments(Carry<Element>& args, const Tensor& starts, const Tensor& slot_of) {
  args.starts = starts.as<std::int32_t>();
  args.slot_of = slot_of.as<std::int32_t>();
  args.num_segments = slot_of.dims[0];
}

template <class Element>
void queue(const LightningCarryForward& args, Stream& stream) {
  auto outputs = carry<Element>(args.q, args.o, args.states_in, args.decay_rate);
  set_segments(outputs, args.segments.starts, args.segments.in_slot);
  launch(outputs, stream, "lightning_carry_forward");
}

template <class Element>
void queue(const LightningCarryBackward& args, Stream& stream) {
  auto dk = carry<Element>(args.v, args.dk, args.dstates_out, args.decay_rate);
  set_segments(dk, args.segments.starts, args.segments.out_slot);
  dk.stands_behind = true;
  dk.is_transposed = true;
  launch(dk, stream, "lightning_carry_backward");
  auto dv = carry<Element>(args.k, args.dv, args.dstates_out, args.decay_rate);
  set_segments(dv, args.segments.starts, args.segments.out_slot);
  dv.stands_behind = true;
  launch(dv, stream, "lightning_carry_backward");
}

}  // namespace

void lightning_fold(const LightningFold& args, Stream& stream) {
  const auto P = args.out.dims[0], H = args.out.dims[1];
  const Fold fold{.states = args.states.as<float>(),
                  .decay_rate = args.decay_rate.as<float>(),
                  .distance = args.distance.as<std::int32_t>(),
                  .out = args.out.as<float>(),
                  .J = args.states.dims[0],
                  .H = H,
                  .size = args.out.strides[1],
                  .add = args.add};
  const dim3 grid(grid_size(divide_up(fold.size, kThreads)), static_cast<unsigned>(H),
                  static_cast<unsigned>(P));
  fold_kernel<<<grid, kThreads, 0, native(stream)>>>(fold);
  check_launch("lightning_fold");
}

void lightning_carry_forward(const LightningCarryForward& args, Stream& stream) {
  with_float_type(args.q.dtype, [&]<class T>(T) { queue<T>(args, stream); });
}

void lightning_carry_backward(const LightningCarryBackward& args, Stream& stream) {
  with_float_type(args.k.dtype, [&]<class T>(T) { queue<T>(args, stream); });
}

}  // namespace fulgur::cuda
