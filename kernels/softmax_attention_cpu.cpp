#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/blas.hpp"
#include "kernels/heads.hpp"
#include "kernels/softmax_attention_impl.hpp"
#include "kernels/vector_math.hpp"

// FlashAttention-2 (arXiv 2307.08691) on tiles of kTile queries by kTile keys.
//
//   T queries, S keys, H heads, G KV heads, d head size; n queries and m keys of a tile
namespace fulgur::cpu {
namespace {

constexpr std::int64_t kTile = 64;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct Span {
  std::int64_t q_begin, q_end, k_begin, k_end, shift;
};

std::vector<Span> read_spans(const Tensor& spans, std::int64_t T, std::int64_t S) {
  std::vector<Span> out;
  for (std::int64_t p = 0; p < spans.dims[0]; ++p) {
    const auto* x = spans.as<std::int32_t>() + 5 * p;
    const Span span{x[0], x[1], x[2], x[3], x[4]};
    if (span.q_begin < 0 || span.q_begin > span.q_end || span.q_end > T || span.k_begin < 0 ||
        span.k_begin > span.k_end || span.k_end > S) {
      throw std::invalid_argument("softmax attention: span " + std::to_string(p) +
                                  " reaches outside the " + std::to_string(T) + " queries and " +
                                  std::to_string(S) + " keys");
    }
    out.push_back(span);
  }
  return out;
}

// The part of a span that is in hand: queries [q, q + n), keys [k, k + m), of one head.
struct Tile {
  std::int64_t q, n, k, m;
  std::int64_t
      first_row_sees;  // keys from k on that the first query sees; each next one sees one more

  std::int64_t sees(std::int64_t row) const {
    return std::clamp<std::int64_t>(first_row_sees + row, 0, m);
  }
};

// Calls body(tile) for the tiles of [q, q + n) in which any query sees a key.
template <class Body>
void for_each_key_tile(const Span& span, std::int64_t q, std::int64_t n, const Body& body) {
  const auto first = q - span.q_begin + span.shift + 1;  // how many keys the first query sees
  const auto end = std::min(span.k_end - span.k_begin, first + n - 1);
  for (std::int64_t j = 0; j < end; j += kTile)
    body(Tile{q, n, span.k_begin + j, std::min(kTile, end - j), first - j});
}

template <class Body>
void for_each_query_tile(const Span& span, const Body& body) {
  for (std::int64_t q = span.q_begin; q < span.q_end; q += kTile)
    body(q, std::min(kTile, span.q_end - q));
}

Block block(const Tensor& x, std::int64_t token, std::int64_t head) {
  const auto rows = head_rows(x, token, head);
  return {rows.data, rows.stride};
}
Target added(const Tensor& x, std::int64_t token, std::int64_t head) {
  const auto rows = head_rows(x, token, head);
  return {rows.data, rows.stride, 1.0f};
}

// row[j] = exp(scale row[j] - offset) for the first `visible` of m numbers, 0 for the rest. Returns
// the sum.
float exponentiate(float* row, std::int64_t visible, std::int64_t m, float scale, float offset) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < visible; ++j) {
    row[j] = vector_exp(scale * row[j] - offset);
    sum += row[j];
  }
  std::fill(row + visible, row + m, 0.0f);
  return sum;
}

float greatest(const float* row, std::int64_t count) {
  float value = kMinusInfinity;
#pragma omp simd reduction(max : value)
  for (std::int64_t j = 0; j < count; ++j)
    value = row[j] > value ? row[j] : value;
  return value;
}

float dot(const float* a, const float* b, std::int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < count; ++j)
    sum += a[j] * b[j];
  return sum;
}

// The running softmax of up to kTile queries of one head, FlashAttention-2's algorithm 1.
class RunningSoftmax {
 public:
  RunningSoftmax(std::int64_t d, float scale)
      : d_(d),
        scale_(scale),
        scores_(static_cast<std::size_t>(kTile * kTile)),
        sum_of_values_(static_cast<std::size_t>(kTile * d)) {}

  void start() {
    maximum_.fill(kMinusInfinity);
    sum_.fill(0.0f);
    std::fill(sum_of_values_.begin(), sum_of_values_.end(), 0.0f);
  }

  void add(const Tile& tile, Block q, Block k, Block v) {
    multiply({tile.n, tile.m, d_}, q, transposed(k), {scores_.data(), kTile});
    for (std::int64_t i = 0; i < tile.n; ++i)
      add_row(i, tile.sees(i), tile.m);
    multiply({tile.n, d_, tile.m}, {scores_.data(), kTile}, v, {sum_of_values_.data(), d_, 1.0f});
  }

  // Writes o and returns lse of one query.
  float finish(std::int64_t i, float* o) const {
    const float sum = sum_[static_cast<std::size_t>(i)];
    const float* values = sum_of_values_.data() + i * d_;
    const bool sees_none = sum == 0.0f;  // else it is at least 1, or not a number
    const float inverse = sees_none ? 0.0f : 1.0f / sum;
    for (std::int64_t j = 0; j < d_; ++j)
      o[j] = values[j] * inverse;
    return sees_none ? kMinusInfinity : maximum_[static_cast<std::size_t>(i)] + std::log(sum);
  }

 private:
  // Turns a row of products into weights relative to the row's new maximum.
  void add_row(std::int64_t i, std::int64_t visible, std::int64_t m) {
    float* row = scores_.data() + i * kTile;
    auto &maximum = maximum_[static_cast<std::size_t>(i)], &sum = sum_[static_cast<std::size_t>(i)];
    if (visible == 0) return static_cast<void>(std::fill_n(row, m, 0.0f));
    const float raised = std::max(maximum, scale_ * greatest(row, visible));
    if (raised > maximum) {
      const float shrink = vector_exp(maximum - raised);
      float* values = sum_of_values_.data() + i * d_;
#pragma omp simd
      for (std::int64_t j = 0; j < d_; ++j)
        values[j] *= shrink;
      sum *= shrink;
      maximum = raised;
    }
    sum += exponentiate(row, visible, m, scale_, maximum);
  }

  std::int64_t d_;
  float scale_;
  std::vector<float> scores_;         // [n, m] in rows of kTile
  std::vector<float> sum_of_values_;  // [n, d]
  std::array<float, kTile> maximum_{}, sum_{};
};

// One tile of the backward pass, FlashAttention-2's algorithm 2.
class BackwardTile {
 public:
  explicit BackwardTile(const SoftmaxAttentionBackward& args)
      : args_(args),
        weights_(static_cast<std::size_t>(kTile * kTile)),
        gradients_(static_cast<std::size_t>(kTile * kTile)) {}

  // Fixes the queries: delta_i = do_i o_i.
  void start(std::int64_t q, std::int64_t n, std::int64_t head) {
    head_ = head;
    const auto dout = head_rows(args_.dout, q, head), o = head_rows(args_.o, q, head);
    for (std::int64_t i = 0; i < n; ++i) {
      delta_[static_cast<std::size_t>(i)] =
          dot(dout.data + i * dout.stride, o.data + i * o.stride, args_.q.dims[2]);
    }
  }

  void add(const Tile& tile, std::int64_t kv_head) {
    const auto d = args_.q.dims[2];
    const Block q = block(args_.q, tile.q, head_), dout = block(args_.dout, tile.q, head_),
                k = block(args_.k, tile.k, kv_head), v = block(args_.v, tile.k, kv_head);
    multiply({tile.n, tile.m, d}, q, transposed(k), {weights_.data(), kTile});
    multiply({tile.n, tile.m, d}, dout, transposed(v), {gradients_.data(), kTile});
    for (std::int64_t i = 0; i < tile.n; ++i)
      differentiate_row(i, tile);
    const Block weights{weights_.data(), kTile}, gradients{gradients_.data(), kTile};
    multiply({tile.m, d, tile.n}, transposed(weights), dout, added(args_.dv, tile.k, kv_head));
    multiply({tile.n, d, tile.m}, gradients, k, added(args_.dq, tile.q, head_));
    multiply({tile.m, d, tile.n}, transposed(gradients), q, added(args_.dk, tile.k, kv_head));
  }

 private:
  // Products q k become p, and products do v become scale ds.
  void differentiate_row(std::int64_t i, const Tile& tile) {
    float *weights = weights_.data() + i * kTile, *gradients = gradients_.data() + i * kTile;
    const float lse = args_.lse.as<float>()[(tile.q + i) * args_.lse.dims[1] + head_];
    const float delta = delta_[static_cast<std::size_t>(i)], scale = args_.scale;
    exponentiate(weights, tile.sees(i), tile.m, scale, lse);
#pragma omp simd
    for (std::int64_t j = 0; j < tile.m; ++j)
      gradients[j] = scale * weights[j] * (gradients[j] - delta);
  }

  const SoftmaxAttentionBackward& args_;
  std::int64_t head_ = 0;
  std::vector<float> weights_, gradients_;  // [n, m] in rows of kTile
  std::array<float, kTile> delta_{};
};

void forward_span(const SoftmaxAttentionForward& args, const Span& span, std::int64_t h,
                  RunningSoftmax& softmax) {
  const auto H = args.q.dims[1], kv_head = h / (H / args.k.dims[1]);
  for_each_query_tile(span, [&](std::int64_t q, std::int64_t n) {
    softmax.start();
    for_each_key_tile(span, q, n, [&](const Tile& tile) {
      softmax.add(tile, block(args.q, q, h), block(args.k, tile.k, kv_head),
                  block(args.v, tile.k, kv_head));
    });
    const auto o = head_rows(args.o, q, h);
    for (std::int64_t i = 0; i < n; ++i)
      args.lse.as<float>()[(q + i) * H + h] = softmax.finish(i, o.data + i * o.stride);
  });
}

void see_nothing(const Tensor& o, const Tensor& lse) {
  std::fill_n(lse.as<float>(), lse.count(), kMinusInfinity);
  for (std::int64_t t = 0; t < o.dims[0]; ++t)
    for (std::int64_t h = 0; h < o.dims[1]; ++h)
      std::fill_n(head_rows(o, t, h).data, o.dims[2], 0.0f);
}

}  // namespace

void softmax_attention_forward(const SoftmaxAttentionForward& args, Stream& stream) {
  stream.run([args] {
    const auto spans = read_spans(args.spans, args.q.dims[0], args.k.dims[0]);
    RunningSoftmax softmax(args.q.dims[2], args.scale);
    see_nothing(args.o, args.lse);
    for (std::int64_t h = 0; h < args.q.dims[1]; ++h)
      for (const auto& span : spans)
        forward_span(args, span, h, softmax);
  });
}

void softmax_attention_backward(const SoftmaxAttentionBackward& args, Stream& stream) {
  stream.run([args] {
    const auto spans = read_spans(args.spans, args.q.dims[0], args.k.dims[0]);
    const auto H = args.q.dims[1], group = H / args.k.dims[1];
    BackwardTile work(args);
    for (std::int64_t h = 0; h < H; ++h)
      for (const auto& span : spans)
        for_each_query_tile(span, [&](std::int64_t q, std::int64_t n) {
          work.start(q, n, h);
          for_each_key_tile(span, q, n, [&](const Tile& tile) { work.add(tile, h / group); });
        });
  });
}

}  // namespace fulgur::cpu
