#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/context.hpp"
#include "runtime/parallel/context/context_group.hpp"

// Private to this folder.
namespace fulgur {

// Two tensors [T, G, d] of each rank that travel together, as one message [2, T, G, d]. T is that
// of the rank they come from.
class RingBlocks {
 public:
  // `like` is this rank's [T, G, d]; rows[r] is T of rank r.
  RingBlocks(const Context& ctx, const ContextGroup& group, std::span<const std::int64_t> rows,
             const Tensor& like);

  // The rank whose tensors this rank has after `hop` hops.
  int owner(int hop) const;
  // Memory in the arena for the tensors of any rank, and its part for those that come at a hop.
  Tensor allocate(DType dtype) const;
  Tensor at(const Tensor& memory, int hop) const;

  // `from` goes `places` ranks on, and `to` comes from as many back. Queued on the group's stream
  // behind all that is queued on ctx.stream; the event passes when both have arrived.
  Event shift(const Tensor& from, const Tensor& to, int places, std::string_view what) const;

 private:
  Context ctx_;
  ContextGroup group_;
  std::span<const std::int64_t> rows_;
  std::int64_t G_, d_;
};

}  // namespace fulgur
