#include <array>

#include "recipes/cost/layer_time.hpp"

namespace fulgur {
namespace {

constexpr double kBackward = 2.5;  // times the forward FLOPs of the cores
constexpr double kBlock = 64;      // tokens that a lightning kernel takes at once

double as_double(std::int64_t count) {
  return static_cast<double>(count);
}

double product_flops(std::int64_t rows, std::int64_t in, std::int64_t out) {
  return 2 * as_double(rows) * as_double(in) * as_double(out);
}

// [T, A] in bytes.
double attention_bytes(const RankShape& s) {
  return as_double(s.tokens * s.attention_width()) * s.activation_bytes;
}

double lightning_flops(const RankShape& s) {
  const auto d = as_double(s.head_dim);
  return as_double(s.tokens * s.heads) * (4 * d * d + 2 * kBlock * d);
}

// Of the rank that has most to do: zigzag gives all the same, in contiguous order the last one sees all.
double softmax_flops(const RankShape& s) {
  const auto N = as_double(s.length), document = as_double(s.document);
  const int cp = s.layout.cp;
  const double share = s.order == ContextOrder::kZigzag ? 1.0 : (2.0 * cp - 1) / cp;
  return 4 * as_double(s.sequences * s.heads * s.head_dim) * N * (document + 1) / 2 / cp * share;
}

double state_bytes(const RankShape& s) {
  return 4 * as_double(s.state_slots * s.heads * s.head_dim * s.head_dim);
}

// The states go round while `work` is done, then their sum enters the chunks.
void time_lightning_core(PassClock& clock, const RankShape& s, double work) {
  if (s.layout.cp == 1) {
    clock.compute(Part::kLightning, work);
    return;
  }
  const auto& rates = clock.rates();
  const auto group = clock.shape(Group::kCp);
  const auto& hardware = rates.hardware;
  // The chunks' own states, from keys and values alone.
  const int own = clock.compute(Part::kMemory, rates.memory(2 * attention_bytes(s)));
  int states = own;
  if (s.lightning == LightningContext::kLaspPlus) {
    const auto cost = all_gather_cost(group, state_bytes(s) * s.layout.cp, hardware);
    states = clock.beside(PassClock::kCp, Group::kCp, cost, own);
  } else {
    for (int hop = 1; hop < s.layout.cp; ++hop) {
      const auto cost = send_cost(group, state_bytes(s), hardware);
      states = clock.beside(PassClock::kCp, Group::kCp, cost, states);
    }
  }
  clock.compute(Part::kLightning, work);
  clock.compute(Part::kMemory, rates.memory(2 * attention_bytes(s)), states);
}

// Keys and values, and backward the gradients of them, go on while those in hand are attended to.
void time_ring(PassClock& clock, const RankShape& s, double work, double bytes) {
  const int cp = s.layout.cp;
  int arrived = -1;
  for (int hop = 0; hop < cp; ++hop) {
    const int begun = clock.compute(Part::kSoftmax, 0, arrived);
    if (hop + 1 < cp) {
      const auto cost = send_cost(clock.shape(Group::kCp), bytes, clock.rates().hardware);
      arrived = clock.beside(PassClock::kCp, Group::kCp, cost, begun);
    }
    clock.compute(Part::kSoftmax, work / cp);
  }
}

double softmax_time(const Rates& rates, const RankShape& s, bool backward) {
  const auto& efficiency = rates.hardware.efficiency;
  return backward ? rates.at_peak(kBackward * softmax_flops(s), efficiency.softmax_backward)
                  : rates.at_peak(softmax_flops(s), efficiency.softmax_forward);
}

double keys_bytes(const RankShape& s, int element) {
  return 2.0 * element * as_double(s.tokens * s.kv_heads * s.head_dim);
}

// What lies between the projections, which selective recomputation does twice.
void time_core_forward(PassClock& clock, const RankShape& s, AttentionKind kind) {
  const auto& rates = clock.rates();
  if (kind == AttentionKind::kSoftmax)
    return time_ring(clock, s, softmax_time(rates, s, false), keys_bytes(s, s.activation_bytes));
  clock.compute(Part::kMemory, rates.memory(6 * attention_bytes(s)));  // silu of q, k, v
  time_lightning_core(
      clock, s, rates.at_peak(lightning_flops(s), rates.hardware.efficiency.lightning_forward));
  const bool over_ranks = s.layout.tp > 1;
  clock.compute(Part::kMemory, rates.memory((over_ranks ? 3 : 2) * attention_bytes(s)));  // norm
  clock.collective(Group::kTp, all_reduce_cost(clock.shape(Group::kTp), 8 * as_double(s.tokens),
                                               rates.hardware));
  clock.compute(Part::kMemory, rates.memory(3 * attention_bytes(s)));  // gate
}

void time_core_backward(PassClock& clock, const RankShape& s, AttentionKind kind) {
  const auto& rates = clock.rates();
  if (kind == AttentionKind::kSoftmax) {
    const double bytes = keys_bytes(s, s.activation_bytes) + keys_bytes(s, 4);
    time_ring(clock, s, softmax_time(rates, s, true), bytes);
    const auto rotated = as_double(s.tokens * s.qkv_width()) * s.activation_bytes;
    clock.compute(Part::kMemory, rates.memory(3 * rotated));
    return;
  }
  clock.compute(Part::kMemory, rates.memory(5 * attention_bytes(s)));  // gate
  const bool over_ranks = s.layout.tp > 1;
  clock.compute(Part::kMemory, rates.memory((over_ranks ? 5 : 3) * attention_bytes(s)));  // norm
  clock.collective(Group::kTp, all_reduce_cost(clock.shape(Group::kTp), 8 * as_double(s.tokens),
                                               rates.hardware));
  time_lightning_core(
      clock, s,
      rates.at_peak(kBackward * lightning_flops(s), rates.hardware.efficiency.lightning_backward));
  clock.compute(Part::kMemory, rates.memory(9 * attention_bytes(s)));  // silu
}

// The products with weights: [T, in] times [in, out].
struct Product {
  std::int64_t in, out;
};
std::array<Product, 3> products_of(const RankShape& s, AttentionKind kind) {
  const auto A = s.attention_width();
  if (kind == AttentionKind::kLightning) return {{{s.hidden, 3 * A}, {s.hidden, A}, {A, s.hidden}}};
  return {{{s.hidden, A}, {s.hidden, 2 * s.kv_heads * s.head_dim}, {A, s.hidden}}};
}

void time_products(PassClock& clock, const RankShape& s, AttentionKind kind) {
  for (const auto& product : products_of(s, kind)) {
    const double flops = product_flops(s.tokens, product.in, product.out);
    clock.compute(Part::kProducts, clock.rates().products(flops));
  }
}

}  // namespace

void time_gather_rows(PassClock& clock, const RankShape& s) {
  const double bytes = as_double(s.tokens * s.hidden) * s.activation_bytes;
  clock.collective(Group::kTp,
                   all_gather_cost(clock.shape(Group::kTp), bytes, clock.rates().hardware));
}

void time_scatter_sum(PassClock& clock, const RankShape& s) {
  time_gather_rows(clock, s);  // the same backwards
}

void time_attention_forward(PassClock& clock, const RankShape& s, AttentionKind kind) {
  time_gather_rows(clock, s);
  time_products(clock, s, kind);
  if (kind == AttentionKind::kSoftmax) {
    const auto turned = as_double(s.tokens * (s.heads + s.kv_heads) * s.head_dim);
    clock.compute(Part::kMemory, clock.rates().memory(2 * turned * s.activation_bytes));
  }
  time_core_forward(clock, s, kind);
  time_scatter_sum(clock, s);
}

void time_attention_backward(PassClock& clock, const RankShape& s, AttentionKind kind,
                             Gradients gradients) {
  if (s.recompute == Recompute::kSelective) time_core_forward(clock, s, kind);
  time_gather_rows(clock, s);
  time_products(clock, s, kind);
  if (gradients == Gradients::kAll) time_attention_weights(clock, s, kind);
  time_core_backward(clock, s, kind);
  time_scatter_sum(clock, s);
}

void time_attention_weights(PassClock& clock, const RankShape& s, AttentionKind kind) {
  time_products(clock, s, kind);
}

}  // namespace fulgur
