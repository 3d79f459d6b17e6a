#include "runtime/comm/ucx/communicator.hpp"

// Broadcast down a binomial tree: with ranks counted from the root, the parent of v is v without
// its lowest set bit, and a rank that has received passes on to v + 1, v + 2, v + 4, ... below its
// own bit.
// Cost: ceil(log2 n) steps; the root sends ceil(log2 n) bytes(tensor), a leaf nothing. Piece i is
// passed on while piece i + 1 arrives.
namespace fulgur::ucx {

void UcxCommunicator::broadcast_now(const Operation& operation) {
  const std::size_t root = static_cast<std::size_t>(operation.peer);
  const std::size_t n = num_ranks();
  const std::size_t place = (self() + n - root) % n;
  const auto rank_at = [&](std::size_t v) { return static_cast<int>((v + root) % n); };
  const std::size_t lowest_bit = place & (~place + 1);  // 0 for the root

  std::vector<int> children;
  for (std::size_t bit = 1; place + bit < n && (place == 0 || bit < lowest_bit); bit *= 2)
    children.push_back(rank_at(place + bit));

  auto* data = static_cast<std::byte*>(operation.out.data);
  const std::size_t bytes = operation.out.bytes();
  within(operation, [&] {
    for (std::size_t i = 0; i < num_pieces(bytes); ++i) {
      const auto [begin, size] = piece(bytes, i);
      if (place != 0) {
        channel_.recv(rank_at(place - lowest_bit), i, data + begin, size);
        channel_.wait();
      } else {
        channel_.wait((kWindow - 1) * children.size());
      }
      for (const int child : children)
        channel_.send(child, i, data + begin, size);
    }
  });
}

}  // namespace fulgur::ucx
