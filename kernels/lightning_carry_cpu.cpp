#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/blas.hpp"
#include "kernels/heads.hpp"
#include "kernels/lightning_carry_impl.hpp"

//   T tokens, H heads, d head size
namespace fulgur::cpu {
namespace {

constexpr std::int64_t kBlock = 64;  // tokens

float power(const Tensor& decay_rate, std::int64_t head, std::int64_t exponent) {
  const auto rate = static_cast<double>(decay_rate.as<float>()[head]);
  return static_cast<float>(std::exp(-rate * static_cast<double>(exponent)));
}

[[noreturn]] void refuse(const std::string& reason) {
  throw std::invalid_argument("lightning carry: segments: " + reason);
}

struct Segment {
  std::int64_t begin, end, slot;

  std::int64_t count() const { return end - begin; }
};

// The segments with a slot.
std::vector<Segment> read_segments(const LightningSegments& segments, const Tensor& slot_of,
                                   const Tensor& states, std::int64_t tokens) {
  const auto count = slot_of.dims[0], slots = states.data == nullptr ? 0 : states.dims[0];
  const auto *starts = segments.starts.as<std::int32_t>(), *slot = slot_of.as<std::int32_t>();
  if (starts[0] != 0 || starts[count] != tokens) {
    refuse("expected starts from 0 to " + std::to_string(tokens) + ", got " +
           std::to_string(starts[0]) + " to " + std::to_string(starts[count]));
  }
  std::vector<Segment> out;
  for (std::int64_t s = 0; s < count; ++s) {
    if (starts[s] > starts[s + 1]) refuse("start " + std::to_string(s) + " is above the next");
    if (slot[s] < 0) continue;
    if (slot[s] >= slots)
      refuse("slot " + std::to_string(slot[s]) + " of " + std::to_string(slots) + " states");
    out.push_back({starts[s], starts[s + 1], slot[s]});
  }
  return out;
}

// y_t += lambda^e x_t A for the tokens of some segments, A the segment's state or its transpose.
// The exponent e grows by one from token to token, away from the state.
class Carry {
 public:
  Carry(const Tensor& decay_rate, const Tensor& states)
      : decay_rate_(decay_rate),
        states_(states),
        d_(states.dims[2]),
        scaled_(static_cast<std::size_t>(kBlock * d_)) {}

  enum class Towards : bool { kBegin, kEnd };  // the side of the segment where the state stands

  void add(const Segment& segment, Towards side, const Tensor& x, const Tensor& y,
           CBLAS_TRANSPOSE transpose) {
    const auto n = segment.count();
    for (std::int64_t h = 0; h < x.dims[1]; ++h) {
      const Block state{states_.as<float>() + (segment.slot * x.dims[1] + h) * d_ * d_, d_,
                        transpose};
      for (std::int64_t done = 0; done < n; done += kBlock) {
        // Blocks go away from the state, so the first one without weight ends the segment.
        const auto c = std::min(kBlock, n - done);
        const auto first = side == Towards::kBegin ? done : n - done - c;
        const auto nearest = side == Towards::kBegin ? done + 1 : done;
        if (power(decay_rate_, h, nearest) == 0.0f) break;
        scale_rows(head_rows(x, segment.begin + first, h), h, c,
                   side == Towards::kBegin ? first + 1 : n - 1 - first,
                   side == Towards::kBegin ? 1 : -1);
        const auto to = head_rows(y, segment.begin + first, h);
        multiply({c, d_, d_}, {scaled_.data(), d_}, state, {to.data, to.stride, 1.0f});
      }
    }
  }

 private:
  // scaled[i] = lambda^(exponent + i step) x_i
  void scale_rows(HeadRows x, std::int64_t h, std::int64_t c, std::int64_t exponent, int step) {
    for (std::int64_t i = 0; i < c; ++i) {
      const float factor = power(decay_rate_, h, exponent + i * step);
      const float* row = x.data + i * x.stride;
      float* to = scaled_.data() + i * d_;
#pragma omp simd
      for (std::int64_t j = 0; j < d_; ++j)
        to[j] = factor * row[j];
    }
  }

  const Tensor &decay_rate_, &states_;
  std::int64_t d_;
  std::vector<float> scaled_;  // [kBlock, d]
};

void fold_place(const LightningFold& args, std::int64_t p, std::int64_t h) {
  const auto J = args.states.dims[0], H = args.out.dims[1], size = args.out.strides[1];
  const auto* distance = args.distance.as<std::int32_t>() + p * J;
  float* out = args.out.as<float>() + (p * H + h) * size;
  if (!args.add) std::fill_n(out, size, 0.0f);
  for (std::int64_t j = 0; j < J; ++j) {
    if (distance[j] < 0) continue;
    const float factor = power(args.decay_rate, h, distance[j]);
    const float* state = args.states.as<float>() + (j * H + h) * size;
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i)
      out[i] += factor * state[i];
  }
}

}  // namespace

void lightning_fold(const LightningFold& args, Stream& stream) {
  stream.run([args] {
    for (std::int64_t p = 0; p < args.out.dims[0]; ++p)
      for (std::int64_t h = 0; h < args.out.dims[1]; ++h)
        fold_place(args, p, h);
  });
}

void lightning_carry_forward(const LightningCarryForward& args, Stream& stream) {
  stream.run([args] {
    const auto segments =
        read_segments(args.segments, args.segments.in_slot, args.states_in, args.q.dims[0]);
    if (segments.empty()) return;
    Carry carry(args.decay_rate, args.states_in);
    for (const auto& segment : segments)
      carry.add(segment, Carry::Towards::kBegin, args.q, args.o, CblasNoTrans);
  });
}

void lightning_carry_backward(const LightningCarryBackward& args, Stream& stream) {
  stream.run([args] {
    const auto segments =
        read_segments(args.segments, args.segments.out_slot, args.dstates_out, args.k.dims[0]);
    if (segments.empty()) return;
    Carry carry(args.decay_rate, args.dstates_out);
    for (const auto& segment : segments) {
      carry.add(segment, Carry::Towards::kEnd, args.v, args.dk, CblasTrans);
      carry.add(segment, Carry::Towards::kEnd, args.k, args.dv, CblasNoTrans);
    }
  });
}

}  // namespace fulgur::cpu
