#include <algorithm>
#include <cstring>

#include "runtime/comm/ucx/communicator.hpp"

// Direct exchange: every rank sends to every other rank what that one needs, and nothing is passed
// on.
// Cost: n - 1 messages a rank, each byte moves once. Rank r begins with rank r + 1, so that the
// peers of a rank do not all send to it at once.
namespace fulgur::ucx {
namespace {

void copy(const Run& from, const Run& to) {
  if (from.size != 0 && from.data != to.data) std::memcpy(to.data, from.data, from.size);
}

}  // namespace

// All ranks take the pieces in the same order and post both directions of a piece before they wait
// for an earlier one, so the first piece that is not done anywhere can always be done.
void UcxCommunicator::exchange(std::span<const Run> sends, std::span<const Run> receives,
                               std::size_t first_step) {
  std::size_t most = 1;  // this rank's own, while the first pieces are on their way
  for (std::size_t r = 0; r < num_ranks(); ++r) {
    if (r == self()) continue;
    most = std::max({most, num_pieces(sends[r].size), num_pieces(receives[r].size)});
  }
  for (std::size_t i = 0; i < most; ++i) {
    for (std::size_t distance = 1; distance < num_ranks(); ++distance) {
      const int to = around(distance);
      const int from = around(num_ranks() - distance);
      const Run& given = sends[static_cast<std::size_t>(to)];
      const Run& taken = receives[static_cast<std::size_t>(from)];
      if (i < num_pieces(taken.size)) {
        const auto [begin, size] = piece(taken.size, i);
        channel_.recv(from, first_step + i, taken.data + begin, size);
      }
      if (i < num_pieces(given.size)) {
        const auto [begin, size] = piece(given.size, i);
        channel_.send(to, first_step + i, given.data + begin, size);
      }
    }
    if (i == 0) copy(sends[self()], receives[self()]);
    channel_.wait((kWindow - 1) * 2 * (num_ranks() - 1));
  }
  channel_.wait();
}

void UcxCommunicator::all_gather_now(const Operation& operation) {
  auto* in = static_cast<std::byte*>(operation.in.data);
  const std::vector<Run> sends(num_ranks(), Run{in, operation.in.bytes()});
  const auto receives = runs_of(static_cast<std::byte*>(operation.out.data), operation.recv_counts,
                                size_bytes(operation.in.dtype));
  within(operation, [&] { exchange(sends, receives, 0); });
}

void UcxCommunicator::all_to_all_now(const Operation& operation) {
  const std::size_t width = size_bytes(operation.in.dtype);
  const auto sends =
      runs_of(static_cast<std::byte*>(operation.in.data), operation.send_counts, width);
  const auto receives =
      runs_of(static_cast<std::byte*>(operation.out.data), operation.recv_counts, width);
  within(operation, [&] { exchange(sends, receives, 0); });
}

}  // namespace fulgur::ucx
