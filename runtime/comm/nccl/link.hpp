#pragma once

#include <nccl.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "kernels/stream.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/comm/store.hpp"

namespace fulgur::nccl {

// The ncclComm of one rank and the thread that watches it.
//
// The thread sees when operations start and end, and is the only one that gives the ncclComm back:
// after the first failure at once, by ncclCommAbort, which makes the kernels of all operations
// leave their streams; else when the communicator goes. NCCL may wait for the other ranks of this
// host while it frees its memory, so the thread is joined by nobody and shares the ownership of the
// link.
//
// launch() and add() are called by one thread at a time, all other functions by any.
class Link : public std::enable_shared_from_this<Link> {
 public:
  // An operation that has been launched, and the points of its stream before and behind it.
  struct Launched {
    Operation operation;
    Event begin;
    Event end;
    std::shared_ptr<StreamFailure> failure;  // of its stream
    std::optional<std::chrono::steady_clock::time_point> started = {};
  };

  explicit Link(const Membership& self, int device);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() = default;

  // Connects to the other ranks and starts the thread. When it throws CommError the link is closed.
  void open(Store& store);

  // Does the calls on the ncclComm as one group and returns when NCCL has launched it. Throws
  // CommError; fail() is then to follow.
  void launch(const std::function<void(ncclComm_t)>& calls);
  void add(Launched launched);

  bool has_failed() const noexcept { return stopped_.load(); }
  // The operation has failed before it could be launched: says so to its stream, and makes the
  // failure that of the link when it is the first.
  void fail(const Launched& launched, const CommError& error);

  void abort() noexcept;
  // Aborts what is under way and lets the thread end; returns when the ncclComm is free, or after a
  // second.
  void close() noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  ncclUniqueId exchange_id(Store& store) const;
  void connect_pairs();
  void wait_until_ready(Clock::time_point deadline);  // REQUIRES calls_
  void watch() noexcept;
  void observe();                             // REQUIRES mutex_
  bool has_ended(Launched& oldest);           // REQUIRES mutex_
  void check_transport();                     // REQUIRES mutex_
  void stop(CommError failure);               // REQUIRES mutex_
  void tell(const Launched& launched) const;  // REQUIRES mutex_ and failure_
  void release(bool quiet) noexcept;
  std::string name_of(const Operation& operation) const;

  const Membership self_;
  const int device_;

  std::mutex calls_;           // held during calls of NCCL
  ncclComm_t comm_ = nullptr;  // guarded by calls_; nullptr: not yet there, or given back
  std::atomic<bool> stopped_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Launched> launched_;  // guarded by mutex_: not known to have ended, in call order
  // Guarded by mutex_: what was under way when the link failed. To give an event back may wait for what
  // the GPU runs, so that comes behind the abort.
  std::deque<Launched> given_up_;
  std::optional<CommError> failure_;  // guarded by mutex_: the first
  bool closing_ = false;              // guarded by mutex_
  bool released_ = false;             // guarded by mutex_
};

// 256 bytes of the GPU `device` for operations that need an address and no data: zeros as floats,
// whatever is added up in them. They are never freed, since freeing GPU memory waits for the whole
// GPU, and so for the ranks of other groups.
std::byte* spare_bytes(int device);

}  // namespace fulgur::nccl
