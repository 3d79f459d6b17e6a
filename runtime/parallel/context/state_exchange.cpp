#include "runtime/parallel/context/state_exchange.hpp"

#include "kernels/lightning_carry.hpp"
#include "kernels/memory.hpp"

namespace fulgur {

StateExchange::StateExchange(const Context& ctx, const ContextGroup& group, const Arguments& args)
    : ctx_(ctx), group_(group), args_(args) {
  const auto& dims = args.entering.dims;
  const auto slots = args.plan.slots;
  if (group.lightning == LightningContext::kLaspPlus) {
    all_ = ctx.arena.allocate({group.ranks.size() * slots, dims[1], dims[2], dims[3]});
    own_ = all_.slice(0, group.ranks.rank() * slots, slots);
  } else {
    own_ = ctx.arena.allocate(dims);
    fill_zero(args.entering, ctx.stream);  // nothing enters the chunk where the chain begins
  }
  fill_zero(own_, ctx.stream);
}

void StateExchange::start() {
  group_.stream.wait(ctx_.stream.record());
  if (group_.lightning == LightningContext::kLaspPlus) {
    group_.ranks.all_gather(own_, all_, group_.stream, "lightning states");
  } else {
    pass_along();
  }
  done_ = group_.stream.record();
}

void StateExchange::finish() {
  ctx_.stream.wait(done_);
  if (group_.lightning != LightningContext::kLaspPlus) return;
  const bool is_forward = args_.direction == StateDirection::kForward;
  lightning_fold({.states = all_,
                  .distance = is_forward ? args_.plan.from_left : args_.plan.from_right,
                  .decay_rate = args_.decay_rate,
                  .out = args_.entering},
                 ctx_.stream);
}

// The chain visits each rank once (contiguous), or once up and once down (zigzag).
void StateExchange::pass_along() {
  const auto count = static_cast<std::int64_t>(args_.plan.links.size());
  for (std::int64_t i = 0; i < count; ++i)
    pass_through(args_.direction == StateDirection::kForward ? i : count - 1 - i);
}

// Takes what enters the chunks of a link, adds it, decayed, to what leaves them, and hands that on.
void StateExchange::pass_through(std::int64_t link) {
  const auto& links = args_.plan.links;
  const auto& here = links[static_cast<std::size_t>(link)];
  const bool is_forward = args_.direction == StateDirection::kForward;
  const int from = is_forward ? here.before : here.behind;
  const int to = is_forward ? here.behind : here.before;
  const int self = group_.ranks.rank();
  const auto sequences = args_.plan.through.dims[1];
  const auto entering = args_.entering.slice(0, here.first_slot, sequences);
  const auto leaving = own_.slice(0, here.first_slot, sequences);
  if (from == self) {  // this rank has two chunks, and they are neighbours
    const auto other = links[links.size() - 1 - static_cast<std::size_t>(link)].first_slot;
    copy(own_.slice(0, other, sequences), entering, group_.stream);
  } else if (from >= 0) {
    group_.ranks.recv(entering, from, group_.stream, "lightning ring");
  }
  lightning_fold({.states = entering,
                  .distance = args_.plan.through.select(0, link),
                  .decay_rate = args_.decay_rate,
                  .out = leaving,
                  .add = true},
                 group_.stream);
  if (to >= 0 && to != self) group_.ranks.send(leaving, to, group_.stream, "lightning ring");
}

}  // namespace fulgur
