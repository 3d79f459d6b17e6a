#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/comm/operation.hpp"
#include "runtime/comm/ucx/handles.hpp"

namespace fulgur::ucx {

// The way of one rank to its peers: posts messages and waits for them. One UCX worker, so that
// groups cannot mix up their messages, and one endpoint for each peer.
//
// An operation is begin(), any number of send(), recv() and wait(), and finish(). When one of them
// throws CommError, cancel() follows, and after it nothing but the destructor. All functions but
// abort() are called by one thread at a time.
class Channel {
 public:
  Channel(std::shared_ptr<UcxContext::Impl> context, Membership self);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();  // does not wait for peers

  std::string address() const;
  void connect(int peer, const std::string& address);
  // The ranks on this host outnumber its cores: no channel of this context may spin for long.
  void set_crowded() noexcept { context_->is_crowded.store(true); }

  // `operation` is named in errors and numbers the tags; it must live until finish() or cancel().
  void begin(const Operation& operation) { operation_ = &operation; }

  // Post a message. Its memory must stay as it is until wait() has seen it done. A message matches
  // by sender, operation and step (below 2^16), so within an operation all steps of a pair differ.
  void send(int peer, std::size_t step, const void* data, std::size_t size);
  void recv(int peer, std::size_t step, void* data, std::size_t size);

  // Returns when at most `left` of the posted messages are under way.
  void wait(std::size_t left = 0);

  // Returns when all messages are done and have left this process, also those that UCX has copied.
  void finish();

  // Stops what is under way, so that the memory of its messages may go, and closes all endpoints.
  void cancel() noexcept;

  // Makes a wait on another thread, and every later one, throw kAborted.
  void abort() noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  struct Endpoint {
    ucp_ep_h handle = nullptr;
    ucs_status_t lost = UCS_OK;  // why the peer is lost; UCS_OK: it is not
  };
  struct Pending {
    void* request = nullptr;
    int peer = -1;  // -1: a flush
    bool is_receive = false;
    std::size_t size = 0;
  };

  static void peer_failed(void* endpoint, ucp_ep_h handle, ucs_status_t status);

  std::uint64_t tag(int sender, std::size_t step) const noexcept;
  void keep(ucs_status_ptr_t result, const Pending& pending);
  bool collect();  // takes out what is done; true when there was something
  void check_received(const Pending& pending, std::size_t size) const;
  void check_lost();
  void check_time(Clock::time_point last) const;  // `last`: of the latest progress
  void sleep(Clock::time_point last);
  void close_endpoints(bool force) noexcept;
  [[noreturn]] void fail(CommError::Kind kind, const std::string& problem) const;
  [[noreturn]] void fail_with(ucs_status_t status, const Pending& pending) const;

  std::shared_ptr<UcxContext::Impl> context_;
  Membership self_;
  File wakeup_;  // an eventfd that abort() writes
  Worker worker_;
  int events_ = -1;  // the worker's own file, readable when there is something to do
  std::vector<Endpoint> endpoints_;  // [size] never resized: UCX holds pointers to its elements
  std::vector<Pending> pending_;
  const Operation* operation_ = nullptr;
  std::atomic<bool> aborted_ = false;
};

}  // namespace fulgur::ucx
