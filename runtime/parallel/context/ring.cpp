#include "runtime/parallel/context/ring.hpp"

#include <algorithm>
#include <vector>

namespace fulgur {

RingBlocks::RingBlocks(const Context& ctx, const ContextGroup& group,
                       std::span<const std::int64_t> rows, const Tensor& like)
    : ctx_(ctx), group_(group), rows_(rows), G_(like.dims[1]), d_(like.dims[2]) {}

int RingBlocks::owner(int hop) const {
  const int size = group_.ranks.size();
  return (group_.ranks.rank() - hop + size) % size;
}

Tensor RingBlocks::allocate(DType dtype) const {
  const auto most = *std::max_element(rows_.begin(), rows_.end());
  return ctx_.arena.allocate({2 * most * G_ * d_}, dtype);
}

Tensor RingBlocks::at(const Tensor& memory, int hop) const {
  const auto T = rows_[static_cast<std::size_t>(owner(hop))];
  return memory.slice(0, 0, 2 * T * G_ * d_).view({2, T, G_, d_});
}

Event RingBlocks::shift(const Tensor& from, const Tensor& to, int places,
                        std::string_view what) const {
  const int size = group_.ranks.size(), rank = group_.ranks.rank();
  std::vector<std::int64_t> sent(static_cast<std::size_t>(size)), received(sent.size());
  sent[static_cast<std::size_t>((rank + places + size) % size)] = from.count();
  received[static_cast<std::size_t>((rank - places + size) % size)] = to.count();
  group_.stream.wait(ctx_.stream.record());
  group_.ranks.all_to_all_v(from, sent, to, received, group_.stream, what);
  return group_.stream.record();
}

}  // namespace fulgur
