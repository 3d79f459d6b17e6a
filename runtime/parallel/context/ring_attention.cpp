#include "runtime/parallel/context/ring_attention.hpp"

#include <array>

#include "kernels/activation.hpp"
#include "kernels/convert.hpp"
#include "kernels/softmax_attention.hpp"
#include "kernels/softmax_merge.hpp"
#include "runtime/parallel/context/ring.hpp"

namespace fulgur {
namespace {

struct KeysAndValues {
  Tensor k, v;  // [T, G, d]
};
KeysAndValues halves(const Tensor& block) {
  return {block.select(0, 0), block.select(0, 1)};
}

// The rows of a call's queries.
Tensor rows_of(const Tensor& x, const RingCall& call) {
  return x.slice(0, call.q_begin, call.q_count);
}

// Attends to the keys of one call and merges what comes of it into the results so far.
void attend_forward(const Context& ctx, const RingAttentionForward& args, const RingCall& call,
                    const KeysAndValues& keys) {
  const Arena::Scope scope(ctx.arena);
  const bool is_first = &call == &args.plan.calls.front();
  const auto q = rows_of(args.q, call), o = rows_of(args.o, call), lse = rows_of(args.lse, call);
  const bool in_place = is_first && o.dtype == q.dtype;
  const auto part_o = in_place ? o : ctx.arena.allocate(o.dims, q.dtype);
  const auto part_lse = is_first ? lse : ctx.arena.like(lse);
  softmax_attention_forward({.q = q,
                             .k = keys.k,
                             .v = keys.v,
                             .spans = call.spans,
                             .scale = args.scale,
                             .o = part_o,
                             .lse = part_lse},
                            ctx.stream);
  if (is_first && !in_place) convert({.x = part_o, .y = o}, ctx.stream);
  if (is_first) return;
  softmax_merge({.part_o = part_o, .part_lse = part_lse, .o = o, .lse = lse}, ctx.stream);
}

// Adds to dq, and to the gradients of the keys and values of one call.
void attend_backward(const Context& ctx, const RingAttentionBackward& args, const RingCall& call,
                     const KeysAndValues& keys, const KeysAndValues& dkeys) {
  softmax_attention_backward({.dout = rows_of(args.dout, call),
                              .q = rows_of(args.q, call),
                              .k = keys.k,
                              .v = keys.v,
                              .o = rows_of(args.o, call),
                              .lse = rows_of(args.lse, call),
                              .spans = call.spans,
                              .scale = args.scale,
                              .dq = rows_of(args.dq, call),
                              .dk = dkeys.k,
                              .dv = dkeys.v},
                             ctx.stream);
}

// Calls attend(call) for the calls of a hop.
template <class Attend>
void for_each_call(const RingPlan& plan, int hop, const Attend& attend) {
  for (const auto& call : plan.calls)
    if (call.hop == hop) attend(call);
}

// The keys and values on their way: while those of one hop are used, those of the next arrive.
class TravellingKeys {
 public:
  TravellingKeys(const Context& ctx, const RingBlocks& ring, const Tensor& k, const Tensor& v,
                 int hops)
      : ctx_(ctx), ring_(ring), own_{k, v}, hops_(hops) {
    if (hops == 0) return;
    memory_ = {ring.allocate(k.dtype), ring.allocate(k.dtype)};
    const auto packed = halves(block(0));
    copy(k, packed.k, ctx.stream);
    copy(v, packed.v, ctx.stream);
  }

  // What a hop brings, in the order 0, 1, ...; the next hop is started, and what was brought before
  // is overwritten by it.
  KeysAndValues take(int hop) {
    if (hop > 0) ctx_.stream.wait(arrived_);
    if (hop < hops_)
      arrived_ = ring_.shift(block(hop), block(hop + 1), 1, "ring attention: keys and values");
    return hop == 0 ? own_ : halves(block(hop));
  }

 private:
  Tensor block(int hop) const { return ring_.at(memory_[static_cast<std::size_t>(hop % 2)], hop); }

  const Context& ctx_;
  const RingBlocks& ring_;
  KeysAndValues own_;
  int hops_;
  std::array<Tensor, 2> memory_;
  Event arrived_;
};

// The gradients of foreign keys and values: each rank adds its share to the sum of those before it.
class TravellingGradients {
 public:
  TravellingGradients(const Context& ctx, const RingBlocks& ring, int hops)
      : ctx_(ctx), ring_(ring), hops_(hops) {
    if (hops == 0) return;
    shares_ = {ring.allocate(DType::kFloat32), ring.allocate(DType::kFloat32)};
    arriving_ = ring.allocate(DType::kFloat32);
  }

  // Where this rank adds its share at a hop, in the order 1, 2, ...; what it has summed up at the
  // hop before goes on meanwhile.
  KeysAndValues share(int hop) {
    if (hop > 1) arrived_ = ring_.shift(block(hop - 1), ring_.at(arriving_, hop), 1, kWhat);
    fill_zero(block(hop), ctx_.stream);
    return halves(block(hop));
  }
  void add_what_arrives(int hop) {
    if (hop < 2) return;
    ctx_.stream.wait(arrived_);
    add(ring_.at(arriving_, hop), block(hop));
  }

  // The last ranks on the way send the sums home, where they are added to dk and dv.
  void go_home(const Tensor& dk, const Tensor& dv) {
    const auto home = ring_.at(arriving_, 0);
    ctx_.stream.wait(ring_.shift(block(hops_), home, -hops_, kWhat));
    const auto own = ctx_.arena.like(home);
    copy(dk, halves(own).k, ctx_.stream);
    copy(dv, halves(own).v, ctx_.stream);
    add(home, own);
    copy(halves(own).k, dk, ctx_.stream);
    copy(halves(own).v, dv, ctx_.stream);
  }

 private:
  static constexpr const char* kWhat = "ring attention: gradients of keys and values";

  Tensor block(int hop) const { return ring_.at(shares_[static_cast<std::size_t>(hop % 2)], hop); }
  void add(const Tensor& x, const Tensor& to) const {
    scaled_add({.a = to, .b = x, .y = to}, ctx_.stream);
  }

  const Context& ctx_;
  const RingBlocks& ring_;
  int hops_;
  std::array<Tensor, 2> shares_;
  Tensor arriving_;
  Event arrived_;
};

// What several hops add up is added up in float32, and rounded once at the end.
class Sum {
 public:
  // `result` itself, or another tensor that begins with zeros.
  Sum(const Context& ctx, const Tensor& result, int hops) : ctx_(ctx), result_(result) {
    const bool is_exact = hops == 0 || result.dtype == DType::kFloat32;
    tensor_ = is_exact ? result : ctx.arena.allocate(result.dims);
    if (!is_exact) fill_zero(tensor_, ctx.stream);
  }
  const Tensor& tensor() const { return tensor_; }

  void finish() const {
    if (tensor_.data == result_.data) return;
    const Arena::Scope scope(ctx_.arena);
    const auto rounded = ctx_.arena.like(result_);
    convert({.x = tensor_, .y = rounded}, ctx_.stream);
    copy(rounded, result_, ctx_.stream);
  }

 private:
  const Context& ctx_;
  Tensor result_, tensor_;
};

}  // namespace

void ring_attention_forward(const Context& ctx, const ContextGroup& group,
                            const RingAttentionForward& asked) {
  const Arena::Scope scope(ctx.arena);
  const int hops = asked.plan.hops;
  const Sum o(ctx, asked.o, hops);
  auto args = asked;
  args.o = o.tensor();
  const RingBlocks ring(ctx, group, args.plan.rows, args.k);
  TravellingKeys keys(ctx, ring, args.k, args.v, hops);
  for (int hop = 0; hop <= hops; ++hop) {
    const auto here = keys.take(hop);
    for_each_call(args.plan, hop,
                  [&](const RingCall& call) { attend_forward(ctx, args, call, here); });
  }
  o.finish();
}

void ring_attention_backward(const Context& ctx, const ContextGroup& group,
                             const RingAttentionBackward& asked) {
  const Arena::Scope scope(ctx.arena);
  const int hops = asked.plan.hops;
  const Sum dq(ctx, asked.dq, hops), dk(ctx, asked.dk, hops), dv(ctx, asked.dv, hops);
  auto args = asked;
  args.dq = dq.tensor();
  args.dk = dk.tensor();
  args.dv = dv.tensor();
  const RingBlocks ring(ctx, group, args.plan.rows, args.k);
  TravellingKeys keys(ctx, ring, args.k, args.v, hops);
  TravellingGradients gradients(ctx, ring, hops);
  for (int hop = 0; hop <= hops; ++hop) {
    const auto here = keys.take(hop);
    const auto share = hop == 0 ? KeysAndValues{args.dk, args.dv} : gradients.share(hop);
    for_each_call(args.plan, hop,
                  [&](const RingCall& call) { attend_backward(ctx, args, call, here, share); });
    gradients.add_what_arrives(hop);
  }
  if (hops > 0) gradients.go_home(args.dk, args.dv);
  for (const auto* sum : {&dq, &dk, &dv})
    sum->finish();
}

}  // namespace fulgur
