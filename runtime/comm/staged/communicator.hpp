#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime/comm/communicator.hpp"
#include "runtime/comm/staged/pinned.hpp"

namespace fulgur::staged {

// Operation n (1, 2, ...) in four parts: the stream copies to the host; the exchanger waits for
// that and exchanges; it raises the flag to n, also when the exchange has failed; the stream, which
// waits for n, copies back. One operation is under way at a time, so all share two staging buffers.
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
    Event copied;  // the input has come to the host
    std::shared_ptr<StreamFailure> failure;
  };

  void queue(Operation operation, Stream& stream) override;
  Operation stage(const Operation& operation);
  void exchange_all() noexcept;
  void exchange(const Operation& operation);

  const std::unique_ptr<Communicator> host_;
  const int device_;
  PinnedBuffer in_;
  PinnedBuffer out_;
  Flag done_;
  std::uint32_t queued_ = 0;          // operations so far
  Event last_;                        // behind the latest operation
  Stream host_stream_{Device::kCpu};  // used by the exchanger

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Exchange> exchanges_;  // guarded by mutex_
  bool closing_ = false;            // guarded by mutex_
  std::jthread exchanger_;          // the last member: it starts when the others are there
};

}  // namespace fulgur::staged
