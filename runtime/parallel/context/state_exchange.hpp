#pragma once

#include "kernels/context.hpp"
#include "runtime/parallel/context/context_group.hpp"
#include "runtime/parallel/context/lightning_context.hpp"

// Private to this folder.
namespace fulgur {

// States go from the front of a sequence to its end, gradients of states the other way.
enum class StateDirection : bool { kForward, kBackward };

// One exchange of chunk states between the ranks, by LASP+ or by the ring. In this order: the
// caller queues on ctx.stream what writes own(), calls start(), queues what runs beside the
// exchange, and calls finish(); `entering` then holds what enters this rank's chunks. Memory is
// taken from the arena and must stay until finish() has been called.
class StateExchange {
 public:
  struct Arguments {
    const LightningPlan& plan;
    Tensor decay_rate;  // [H]
    Tensor entering;    // [slots, H, d, d]
    StateDirection direction = StateDirection::kForward;
  };
  StateExchange(const Context& ctx, const ContextGroup& group, const Arguments& args);

  // [slots, H, d, d], zeros at first: each chunk's part of what leaves it.
  const Tensor& own() const { return own_; }
  void start();
  void finish();

 private:
  void pass_along();
  void pass_through(std::int64_t link);

  Context ctx_;
  ContextGroup group_;
  Arguments args_;
  Tensor all_;  // [cp slots, H, d, d] of all ranks; no memory for the ring
  Tensor own_;
  Event done_;
};

}  // namespace fulgur
