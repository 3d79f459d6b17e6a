#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime/comm/communicator.hpp"
#include "runtime/comm/staged/pinned.hpp"

namespace fulgur::staged {

// Operation n (1, 2, ...) in four parts: the stream copies to the host and raises `copied_` to n; the
// exchanger waits for that and exchanges; it raises `done_` to n, also when the exchange has failed;
// the stream, which waits for n, copies back. One operation is under way at a time, so all share two
// staging buffers.
//
// The exchanger makes no call of CUDA. Calls that load a kernel's code, or allocate or free memory, wait
// until the GPU is idle, and so for streams that wait for the exchanger; they hold the driver's locks
// meanwhile. An exchanger that asked the driver for an event waited for them in its turn, for ever.
class StagedCommunicator final : public Communicator {
 public:
  explicit StagedCommunicator(std::unique_ptr<Communicator> host);
  StagedCommunicator(const StagedCommunicator&) = delete;
  StagedCommunicator& operator=(const StagedCommunicator&) = delete;
  ~StagedCommunicator() override;

  void abort() noexcept override { host_->abort(); }

 private:
  struct Exchange {
    Operation operation;  // on the staging buffers
    std::uint32_t number = 0;
    std::shared_ptr<StreamFailure> failure;
  };

  void queue(Operation operation, Stream& stream) override;
  Operation stage(const Operation& operation);
  void exchange_all() noexcept;
  bool wait_for_input(std::uint32_t number) const noexcept;
  void exchange(const Operation& operation);

  const std::unique_ptr<Communicator> host_;
  PinnedBuffer in_;
  PinnedBuffer out_;
  Flag copied_;
  Flag done_;
  std::uint32_t queued_ = 0;          // operations so far
  Event last_;                        // behind the latest operation
  Stream host_stream_{Device::kCpu};  // used by the exchanger

  std::atomic<bool> gpu_has_failed_ = false;  // it raises no flag any more

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Exchange> exchanges_;  // guarded by mutex_
  bool closing_ = false;            // guarded by mutex_
  std::jthread exchanger_;          // the last member: it starts when the others are there
};

}  // namespace fulgur::staged
