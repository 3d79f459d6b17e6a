#include "runtime/comm/ucx/communicator.hpp"

// Dissemination barrier (Hensgen, Finkel, Manber 1988): in round k each rank tells the rank 2^k
// places behind it that it, and all it has heard of, are there.
// Cost: ceil(log2 n) rounds of one empty message a rank.
namespace fulgur::ucx {

void UcxCommunicator::barrier_now(const Operation& operation) {
  within(operation, [&] {
    std::size_t round = 0;
    for (std::size_t distance = 1; distance < num_ranks(); distance *= 2, ++round) {
      channel_.recv(around(num_ranks() - distance), round, nullptr, 0);
      channel_.send(around(distance), round, nullptr, 0);
      channel_.wait();
    }
  });
}

}  // namespace fulgur::ucx
