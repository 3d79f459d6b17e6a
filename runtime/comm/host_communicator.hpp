#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "runtime/comm/communicator.hpp"

namespace fulgur {

// What the backends for host memory share: an operation runs from beginning to end on the thread of
// its stream, blocks it meanwhile, and throws there.
//
// A backend implements one function for each kind of operation, and interrupt(). All of them but
// interrupt() are called for one operation at a time, in call order, though perhaps from different
// threads. The destructor of a backend calls stop() before anything else.
class HostCommunicator : public Communicator {
 public:
  void abort() noexcept final;

 protected:
  explicit HostCommunicator(Membership self) : Communicator(std::move(self), Device::kCpu) {}

  bool aborted() const noexcept { return aborted_.load(); }
  // Throws the error that a wait ends in once aborted() is true.
  [[noreturn]] void throw_aborted(const Operation& operation) const;

  // Aborts what has not run and returns when nothing of this communicator is queued any more.
  void stop() noexcept;

 private:
  void queue(Operation operation, Stream& stream) final;
  void perform(const Operation& operation);
  void dispatch(const Operation& operation);

  virtual void all_reduce_now(const Operation& operation) = 0;
  virtual void all_gather_now(const Operation& operation) = 0;
  virtual void reduce_scatter_now(const Operation& operation) = 0;
  virtual void all_to_all_now(const Operation& operation) = 0;
  virtual void broadcast_now(const Operation& operation) = 0;
  virtual void send_now(const Operation& operation) = 0;
  virtual void recv_now(const Operation& operation) = 0;
  virtual void barrier_now(const Operation& operation) = 0;

  // Wakes an operation that waits on another thread; it finds aborted() true.
  virtual void interrupt() noexcept = 0;

  std::atomic<bool> aborted_ = false;
  std::optional<CommError>
      failure_;  // of the first operation that failed; touched by operations only
  Event last_;   // behind the latest operation
};

}  // namespace fulgur
