#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/blas.hpp"
#include "kernels/heads.hpp"
#include "kernels/lightning_attention_impl.hpp"

// The block form of lightning attention (TransNormerLLM, arXiv 2307.14995; Lightning Attention-2,
// arXiv 2401.04658): inside a block the masked quadratic form, between blocks the state.
//
//   T tokens, H heads, d head size, c tokens of a block, at most kBlock
namespace fulgur::cpu {
namespace {

constexpr std::int64_t kBlock = 64;

// The side of a block toward which a row decays: row i (from 0) is i + 1 tokens behind the state
// that enters the block, and c - 1 - i before the one that leaves it.
enum class Side : bool { kEntering, kLeaving };

// One head: the powers of its decay, and scratch for a block.
class Head {
 public:
  Head(const Tensor& decay_rate, std::int64_t index, std::int64_t head_dim)
      : h(index),
        d(head_dim),
        scores_(static_cast<std::size_t>(kBlock * kBlock)),
        scaled_(static_cast<std::size_t>(kBlock * d)),
        mask_(static_cast<std::size_t>(kBlock * kBlock)) {
    const auto rate = static_cast<double>(decay_rate.as<float>()[h]);
    for (std::size_t i = 0; i < power_.size(); ++i)
      power_[i] = static_cast<float>(std::exp(-rate * static_cast<double>(i)));
    for (std::int64_t i = 0; i < kBlock; ++i)
      for (std::int64_t j = 0; j <= i; ++j)
        mask_[static_cast<std::size_t>(i * kBlock + j)] = power(i - j);
  }

  float power(std::int64_t i) const { return power_[static_cast<std::size_t>(i)]; }

  // scores = (a b^T) * D, D[i][j] = lambda^(i-j) for i >= j, else 0. Returns it, [c, c].
  Block masked_product(HeadRows a, HeadRows b, std::int64_t c) {
    multiply({c, c, d}, {a.data, a.stride}, {b.data, b.stride, CblasTrans},
             {scores_.data(), kBlock});
    for (std::int64_t i = 0; i < c; ++i) {
      float* row = scores_.data() + i * kBlock;
      const float* decay = mask_.data() + i * kBlock;
#pragma omp simd
      for (std::int64_t j = 0; j < c; ++j)
        row[j] *= decay[j];
    }
    return {scores_.data(), kBlock};
  }

  // The rows times their decay toward one side, [c, d].
  Block decayed(HeadRows x, Side side, std::int64_t c) {
    for (std::int64_t i = 0; i < c; ++i) {
      const float factor = power(side == Side::kEntering ? i + 1 : c - 1 - i);
      const float* row = x.data + i * x.stride;
      float* to = scaled_.data() + i * d;
#pragma omp simd
      for (std::int64_t j = 0; j < d; ++j)
        to[j] = factor * row[j];
    }
    return {scaled_.data(), d};
  }

  const std::int64_t h, d;

 private:
  std::array<float, kBlock + 1> power_{};
  std::vector<float> scores_;
  std::vector<float> scaled_;
  std::vector<float> mask_;
};

// A [d, d] state, or the gradient of one. While it is zero, no products are made with it.
class State {
 public:
  explicit State(std::int64_t d) : values_(static_cast<std::size_t>(d * d)), d_(d) {}

  void clear() { zero_ = true; }
  void load(const float* values) {
    std::copy_n(values, values_.size(), values_.begin());
    zero_ = false;
  }
  void store(float* values) const {
    if (zero_) {
      std::fill_n(values, values_.size(), 0.0f);
    } else {
      std::copy_n(values_.begin(), values_.size(), values);
    }
  }

  // S = lambda^c S + x^T y, with the decay of the rows already in x.
  void pass_block(const Head& head, Block x, HeadRows y, std::int64_t c) {
    multiply({d_, d_, c}, transposed(x), {y.data, y.stride},
             {values_.data(), d_, zero_ ? 0.0f : head.power(c)});
    zero_ = false;
  }

  bool is_zero() const { return zero_; }
  Block block() const { return {values_.data(), d_}; }

 private:
  std::vector<float> values_;
  std::int64_t d_;
  bool zero_ = true;
};

struct Segment {
  std::int64_t begin, end, in_slot, out_slot;

  bool is_last(std::int64_t block) const { return block + kBlock >= end; }
  std::int64_t length(std::int64_t block) const { return std::min(kBlock, end - block); }
  // Where the last block begins; before `begin` when there is none.
  std::int64_t last_block() const {
    const auto num_blocks = (end - begin + kBlock - 1) / kBlock;
    return begin + (num_blocks - 1) * kBlock;
  }
};

[[noreturn]] void refuse(const std::string& reason) {
  throw std::invalid_argument("lightning attention: segments: " + reason);
}

std::vector<Segment> read_segments(const LightningSegments& segments, std::int64_t tokens) {
  const auto count = segments.in_slot.dims[0];
  const auto *starts = segments.starts.as<std::int32_t>(),
             *in_slot = segments.in_slot.as<std::int32_t>(),
             *out_slot = segments.out_slot.as<std::int32_t>();
  if (starts[0] != 0 || starts[count] != tokens) {
    refuse("expected starts from 0 to " + std::to_string(tokens) + ", got " +
           std::to_string(starts[0]) + " to " + std::to_string(starts[count]));
  }
  std::vector<Segment> out;
  for (std::int64_t s = 0; s < count; ++s) {
    if (starts[s] > starts[s + 1]) refuse("start " + std::to_string(s) + " is above the next");
    out.push_back({starts[s], starts[s + 1], in_slot[s], out_slot[s]});
  }
  return out;
}

// The [d, d] matrix of a slot and head, or nullptr for slot -1.
float* state_at(const Tensor& states, std::int64_t slot, const Head& head) {
  if (slot < 0) return nullptr;
  const auto slots = states.data == nullptr ? 0 : states.dims[0];
  if (slot >= slots)
    refuse("slot " + std::to_string(slot) + " of " + std::to_string(slots) + " states");
  return states.as<float>() + slot * states.strides[0] + head.h * states.strides[1];
}

void load_slot(State& state, const Tensor& states, std::int64_t slot, const Head& head) {
  const float* values = state_at(states, slot, head);
  values == nullptr ? state.clear() : state.load(values);
}

// Calls body(head, segment) for all heads and segments; `like` is one of the [T, H, d] tensors.
template <class Body>
void for_each_head_and_segment(const Tensor& like, const Tensor& decay_rate,
                               const LightningSegments& segments, const Body& body) {
  const auto all = read_segments(segments, like.dims[0]);
  for (std::int64_t h = 0; h < like.dims[1]; ++h) {
    Head head(decay_rate, h, like.dims[2]);
    for (const auto& segment : all)
      body(head, segment);
  }
}

// First pass of the backward: dq, and the parts of dk and dv that come from inside the blocks.
// `state` is the one that enters the segment.
void backward_from_the_left(const LightningOutputBackward& args, Head& head, const Segment& segment,
                            State& state) {
  const auto d = head.d;
  for (std::int64_t b = segment.begin; b < segment.end; b += kBlock) {
    const auto c = segment.length(b);
    const auto rows = [&](const Tensor& x) { return head_rows(x, b, head.h); };
    const auto block = [&](const Tensor& x) { return Block{rows(x).data, rows(x).stride}; };
    const auto dq = rows(args.dq), dk = rows(args.dk), dv = rows(args.dv);

    const Block dscores = head.masked_product(rows(args.dout), rows(args.v), c);
    multiply({c, d, c}, dscores, block(args.k), {dq.data, dq.stride});
    multiply({c, d, c}, transposed(dscores), block(args.q), {dk.data, dk.stride});
    const Block scores = head.masked_product(rows(args.q), rows(args.k), c);
    multiply({c, d, c}, transposed(scores), block(args.dout), {dv.data, dv.stride});

    if (!state.is_zero()) {
      multiply({c, d, d}, head.decayed(rows(args.dout), Side::kEntering, c),
               transposed(state.block()), {dq.data, dq.stride, 1.0f});
    }
    if (!segment.is_last(b))
      state.pass_block(head, head.decayed(rows(args.k), Side::kLeaving, c), rows(args.v), c);
  }
}

// Second pass: adds to dk and dv what comes from tokens behind the block. `gradient` is that of the
// state which leaves the segment.
void backward_from_the_right(const LightningOutputBackward& args, Head& head,
                             const Segment& segment, State& gradient) {
  const auto d = head.d;
  for (std::int64_t b = segment.last_block(); b >= segment.begin; b -= kBlock) {
    const auto c = segment.length(b);
    const auto rows = [&](const Tensor& x) { return head_rows(x, b, head.h); };
    if (!gradient.is_zero()) {
      const auto dk = rows(args.dk), dv = rows(args.dv);
      multiply({c, d, d}, head.decayed(rows(args.v), Side::kLeaving, c),
               transposed(gradient.block()), {dk.data, dk.stride, 1.0f});
      multiply({c, d, d}, head.decayed(rows(args.k), Side::kLeaving, c), gradient.block(),
               {dv.data, dv.stride, 1.0f});
    }
    if (b != segment.begin)
      gradient.pass_block(head, head.decayed(rows(args.q), Side::kEntering, c), rows(args.dout), c);
  }
}

}  // namespace

void lightning_state_forward(const LightningStateForward& args, Stream& stream) {
  stream.run([args] {
    State state(args.k.dims[2]);
    const auto body = [&](Head& head, const Segment& segment) {
      float* out = state_at(args.states, segment.out_slot, head);
      if (out == nullptr) return;
      state.clear();
      for (std::int64_t b = segment.begin; b < segment.end; b += kBlock) {
        const auto c = segment.length(b);
        const auto k = head_rows(args.k, b, head.h), v = head_rows(args.v, b, head.h);
        state.pass_block(head, head.decayed(k, Side::kLeaving, c), v, c);
      }
      state.store(out);
    };
    for_each_head_and_segment(args.k, args.decay_rate, args.segments, body);
  });
}

void lightning_output_forward(const LightningOutputForward& args, Stream& stream) {
  stream.run([args] {
    State state(args.q.dims[2]);
    const auto body = [&](Head& head, const Segment& segment) {
      load_slot(state, args.states_in, segment.in_slot, head);
      const auto d = head.d;
      for (std::int64_t b = segment.begin; b < segment.end; b += kBlock) {
        const auto c = segment.length(b);
        const auto q = head_rows(args.q, b, head.h), k = head_rows(args.k, b, head.h),
                   v = head_rows(args.v, b, head.h), o = head_rows(args.o, b, head.h);
        multiply({c, d, c}, head.masked_product(q, k, c), {v.data, v.stride}, {o.data, o.stride});
        if (!state.is_zero()) {
          multiply({c, d, d}, head.decayed(q, Side::kEntering, c), state.block(),
                   {o.data, o.stride, 1.0f});
        }
        if (!segment.is_last(b)) state.pass_block(head, head.decayed(k, Side::kLeaving, c), v, c);
      }
    };
    for_each_head_and_segment(args.q, args.decay_rate, args.segments, body);
  });
}

void lightning_state_backward(const LightningStateBackward& args, Stream& stream) {
  stream.run([args] {
    State gradient(args.q.dims[2]);
    const auto body = [&](Head& head, const Segment& segment) {
      float* out = state_at(args.dstates, segment.in_slot, head);
      if (out == nullptr) return;
      gradient.clear();
      for (std::int64_t b = segment.last_block(); b >= segment.begin; b -= kBlock) {
        const auto c = segment.length(b);
        const auto q = head_rows(args.q, b, head.h), dout = head_rows(args.dout, b, head.h);
        gradient.pass_block(head, head.decayed(q, Side::kEntering, c), dout, c);
      }
      gradient.store(out);
    };
    for_each_head_and_segment(args.q, args.decay_rate, args.segments, body);
  });
}

void lightning_output_backward(const LightningOutputBackward& args, Stream& stream) {
  stream.run([args] {
    State state(args.q.dims[2]), gradient(args.q.dims[2]);
    const auto body = [&](Head& head, const Segment& segment) {
      load_slot(state, args.states_in, segment.in_slot, head);
      backward_from_the_left(args, head, segment, state);
      load_slot(gradient, args.dstates_out, segment.out_slot, head);
      backward_from_the_right(args, head, segment, gradient);
    };
    for_each_head_and_segment(args.q, args.decay_rate, args.segments, body);
  });
}

}  // namespace fulgur::cpu
