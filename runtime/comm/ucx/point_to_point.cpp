#include "runtime/comm/ucx/communicator.hpp"

namespace fulgur::ucx {

void UcxCommunicator::send_now(const Operation& operation) {
  const auto* data = static_cast<const std::byte*>(operation.in.data);
  const std::size_t bytes = operation.in.bytes();
  within(operation, [&] {
    for (std::size_t i = 0; i < num_pieces(bytes); ++i) {
      const auto [begin, size] = piece(bytes, i);
      channel_.send(operation.peer, i, data + begin, size);
      channel_.wait(kWindow - 1);
    }
  });
}

void UcxCommunicator::recv_now(const Operation& operation) {
  auto* data = static_cast<std::byte*>(operation.out.data);
  const std::size_t bytes = operation.out.bytes();
  within(operation, [&] {
    for (std::size_t i = 0; i < num_pieces(bytes); ++i) {
      const auto [begin, size] = piece(bytes, i);
      channel_.recv(operation.peer, i, data + begin, size);
      channel_.wait(kWindow - 1);
    }
  });
}

}  // namespace fulgur::ucx
