#include "runtime/parallel/context/lightning_context.hpp"

#include "kernels/lightning_carry.hpp"
#include "runtime/parallel/context/state_exchange.hpp"

namespace fulgur {

void lightning_context_forward(const Context& ctx, const ContextGroup& group,
                               const LightningContextForward& args) {
  const auto& segments = args.plan.segments;
  const LightningOutputForward apart{.q = args.q,
                                     .k = args.k,
                                     .v = args.v,
                                     .decay_rate = args.decay_rate,
                                     .segments = {.starts = segments.starts,
                                                  .in_slot = args.plan.no_slot,
                                                  .out_slot = args.plan.no_slot},
                                     .states_in = {},
                                     .o = args.o};
  if (args.plan.slots == 0) return lightning_output_forward(apart, ctx.stream);

  const Arena::Scope scope(ctx.arena);
  StateExchange exchange(ctx, group,
                         {.plan = args.plan,
                          .decay_rate = args.decay_rate,
                          .entering = args.states_in,
                          .direction = StateDirection::kForward});
  lightning_state_forward({.k = args.k,
                           .v = args.v,
                           .decay_rate = args.decay_rate,
                           .segments = segments,
                           .states = exchange.own()},
                          ctx.stream);
  exchange.start();
  lightning_output_forward(apart, ctx.stream);
  exchange.finish();
  lightning_carry_forward({.q = args.q,
                           .decay_rate = args.decay_rate,
                           .segments = segments,
                           .states_in = args.states_in,
                           .o = args.o},
                          ctx.stream);
}

void lightning_context_backward(const Context& ctx, const ContextGroup& group,
                                const LightningContextBackward& args) {
  const auto& segments = args.plan.segments;
  // What enters the segments is known, so dq is whole. What leaves them still counts for dk and dv.
  const LightningOutputBackward entered{.q = args.q,
                                        .k = args.k,
                                        .v = args.v,
                                        .dout = args.dout,
                                        .decay_rate = args.decay_rate,
                                        .segments = {.starts = segments.starts,
                                                     .in_slot = segments.in_slot,
                                                     .out_slot = args.plan.no_slot},
                                        .states_in = args.states_in,
                                        .dstates_out = {},
                                        .dq = args.dq,
                                        .dk = args.dk,
                                        .dv = args.dv};
  if (args.plan.slots == 0) return lightning_output_backward(entered, ctx.stream);

  const Arena::Scope scope(ctx.arena);
  const auto dstates_out = ctx.arena.allocate(args.states_in.dims);
  StateExchange exchange(ctx, group,
                         {.plan = args.plan,
                          .decay_rate = args.decay_rate,
                          .entering = dstates_out,
                          .direction = StateDirection::kBackward});
  lightning_state_backward({.q = args.q,
                            .dout = args.dout,
                            .decay_rate = args.decay_rate,
                            .segments = segments,
                            .dstates = exchange.own()},
                           ctx.stream);
  exchange.start();
  lightning_output_backward(entered, ctx.stream);
  exchange.finish();
  lightning_carry_backward({.k = args.k,
                            .v = args.v,
                            .decay_rate = args.decay_rate,
                            .segments = segments,
                            .dstates_out = dstates_out,
                            .dk = args.dk,
                            .dv = args.dv},
                           ctx.stream);
}

}  // namespace fulgur
