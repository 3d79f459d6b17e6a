#include "kernels/activation.hpp"
#include "kernels/checks.hpp"
#include "kernels/grouped_matmul.hpp"
#include "kernels/token_permutation.hpp"
#include "runtime/parallel/experts/expert_exchange.hpp"

namespace fulgur {

void ExpertExchange::backward(const Context& ctx, const Context& operands, const Backward& args,
                              const Saved& saved, const TakeWork& take_work) const {
  expect_dense(args.dout, {saved.cuts.back(), width()}, dtype(), "experts: dout");
  expect_dense(args.dx, args.dout.dims, dtype(), "experts: dx");
  expect_floats(args.weights, {saved.cuts.back(), saved.k}, "experts: weights");
  expect_floats(args.dweights, args.weights.dims, "experts: dweights");
  std::vector<Gradients> gradients;
  for (const auto& group : saved.groups)
    gradients.push_back(make_gradients(operands, group));
  groups_.are_apart() ? backward_apart(ctx, args, saved, gradients, take_work)
                      : backward_here(ctx, args, saved, gradients.front(), take_work);
}

ExpertExchange::Gradients ExpertExchange::make_gradients(const Context& operands,
                                                         const Group& group) const {
  Gradients gradients{.output = operands.arena.like(group.input),
                      .inner = operands.arena.like(group.inner),
                      .activated = group.activated};
  if (recompute_ == Recompute::kSelective)
    gradients.activated = operands.arena.allocate({group.input.dims[0], inner()}, dtype());
  return gradients;
}

void ExpertExchange::uncombine(const Context& ctx, const Backward& args, const Saved& saved,
                               std::size_t g, const Tensor& doutput) const {
  const auto& group = saved.groups[g];
  combine_backward({.dout = saved.tokens_of(g, args.dout),
                    .y = group.output,
                    .rows = group.rows,
                    .slots = group.slots,
                    .weights = saved.tokens_of(g, args.weights),
                    .dy = doutput,
                    .dweights = saved.tokens_of(g, args.dweights)},
                   ctx.stream);
}

// dinput: with etp > 1 this rank's summand of it.
void ExpertExchange::work_backward(const Context& ctx, const Group& group, const Tensor& offsets,
                                   const Gradients& gradients, const Tensor& dinput) const {
  const Arena::Scope scope(ctx.arena);
  const auto dactivated = ctx.arena.like(gradients.activated);
  if (recompute_ == Recompute::kSelective)
    swiglu_forward({.x = group.inner, .y = gradients.activated}, ctx.stream);
  grouped_matmul_input_gradient(
      {.dy = gradients.output, .w = weights_.w2, .offsets = offsets, .dx = dactivated}, ctx.stream);
  swiglu_backward({.dy = dactivated, .x = group.inner, .dx = gradients.inner}, ctx.stream);
  grouped_matmul_input_gradient(
      {.dy = rows_of(gradients.inner), .w = weights_.w13, .offsets = offsets, .dx = dinput},
      ctx.stream);
}

ExpertExchange::WeightWork ExpertExchange::weight_work(const Group& group, const Tensor& offsets,
                                                       const Gradients& gradients) const {
  const GroupedMatMulWeightGradient w2{
      .dy = gradients.output, .x = gradients.activated, .offsets = offsets, .dw = gradients_.w2};
  const GroupedMatMulWeightGradient w13{
      .dy = rows_of(gradients.inner), .x = group.input, .offsets = offsets, .dw = gradients_.w13};
  return [w2, w13](Stream& stream) {
    grouped_matmul_weight_gradient(w2, stream);
    grouped_matmul_weight_gradient(w13, stream);
  };
}

void ExpertExchange::backward_here(const Context& ctx, const Backward& args, const Saved& saved,
                                   const Gradients& gradients, const TakeWork& take_work) const {
  const auto& group = saved.groups.front();
  const auto& offsets = saved.tables.front().offsets;
  uncombine(ctx, args, saved, 0, gradients.output);
  {
    const Arena::Scope scope(ctx.arena);
    const auto dinput = ctx.arena.like(group.input);
    work_backward(ctx, group, offsets, gradients, dinput);
    permute_backward({.dy = dinput, .rows = group.rows, .dx = args.dx}, ctx.stream);
  }
  take_work(weight_work(group, offsets, gradients));
}

// As forward_apart: the gradients of the output go to the experts, those of their input come back.
// The products for the weights need no rank, so they are taken while rows are on their way.
void ExpertExchange::backward_apart(const Context& ctx, const Backward& args, const Saved& saved,
                                    const std::vector<Gradients>& gradients,
                                    const TakeWork& take_work) const {
  const Arena::Scope scope(ctx.arena);
  RowExchange exchange(ctx, groups_, saved.plans, saved.tables, most_rows(saved));
  const auto results = ctx.arena.allocate({saved.most_worked_rows(), width()}, dtype());
  const auto dpermuted = ctx.arena.allocate({saved.cuts.back() * saved.k, width()}, dtype());
  const auto returned = [&](std::size_t g) {
    return dpermuted.slice(0, saved.cuts[g] * saved.k, saved.groups[g].slots.count());
  };
  for (std::size_t step = 0; step <= saved.groups.size(); ++step) {
    if (step < saved.groups.size()) {
      uncombine(ctx, args, saved, step, exchange.outgoing(step, saved.groups[step].slots.count()));
      exchange.send(step);
    }
    if (step > 0) {
      const auto g = step - 1;
      const auto result = results.slice(0, 0, saved.plans[g].num_rows());
      exchange.receive(g, gradients[g].output);
      work_backward(ctx, saved.groups[g], saved.tables[g].offsets, gradients[g], result);
      exchange.give_back(g, result, returned(g).slice(0, 0, saved.plans[g].num_sent()));
      take_work(weight_work(saved.groups[g], saved.tables[g].offsets, gradients[g]));
    }
  }
  for (std::size_t g = 0; g < saved.groups.size(); ++g) {
    exchange.finish(g);
    permute_backward(
        {.dy = returned(g), .rows = saved.groups[g].rows, .dx = saved.tokens_of(g, args.dx)},
        ctx.stream);
  }
}

}  // namespace fulgur
