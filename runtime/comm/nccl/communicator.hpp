#pragma once

#include <memory>

#include "runtime/comm/communicator.hpp"
#include "runtime/comm/nccl/link.hpp"

namespace fulgur::nccl {

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(Store& store, const Membership& self, int device);
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;
  ~NcclCommunicator() override;

  void abort() noexcept override { link_->abort(); }

 private:
  void queue(Operation operation, Stream& stream) override;
  void issue(const Operation& operation, Stream& stream);

  int device_;
  std::shared_ptr<Link> link_;
  Event last_;  // behind the latest operation
};

// calls.cpp: the calls of NCCL that make up an operation. `spare` are bytes of the GPU, see
// link.hpp.
void call(const Operation& operation, int rank, std::byte* spare, ncclComm_t comm,
          cudaStream_t stream);

}  // namespace fulgur::nccl
