#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "kernels/tensor.hpp"

namespace fulgur {

// A point in the work of a stream. Copies share the point. A default event has passed.
class Event {
 public:
  Event() = default;
  struct State;
  explicit Event(std::shared_ptr<State> state) : state_(std::move(state)) {}
  const std::shared_ptr<State>& state() const noexcept { return state_; }

  // Blocks the calling thread until the stream has passed the point.
  void synchronize() const;
  bool has_passed() const;

 private:
  std::shared_ptr<State> state_;
};

// The first failure of a stream's work, until synchronize() has thrown it. Shared, so that a
// library that works for a stream on threads of its own can say what has failed, also when the
// stream has gone meanwhile. May be used from any thread.
class StreamFailure {
 public:
  // Ignored when there is a failure already.
  void set(std::exception_ptr failure) noexcept {
    const std::lock_guard lock(mutex_);
    if (!first_) first_ = std::move(failure);
  }
  bool is_set() const noexcept {
    const std::lock_guard lock(mutex_);
    return first_ != nullptr;
  }
  std::exception_ptr take() noexcept {
    const std::lock_guard lock(mutex_);
    return std::exchange(first_, nullptr);
  }

 private:
  mutable std::mutex mutex_;
  std::exception_ptr first_;  // guarded by mutex_
};

// A queue of work on one device, done in the order in which it was queued: a CUDA stream, or on the
// CPU one executor thread.
//
// Failure. When queued work throws, the stream drops the work that follows until synchronize() has
//          thrown the first exception. Events still pass, and waits are still kept. A GPU drops host
//          work only: kernels that follow still run.
// Threads. One thread queues at a time.
class Stream {
 public:
  // Throws std::runtime_error for kCuda in a build without CUDA.
  explicit Stream(Device device);
  ~Stream();  // waits for the queued work; drops its exception
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Device device() const noexcept;

  // Queues host work. On the CPU this is how every kernel runs.
  void run(std::function<void()> work);

  // A point behind all that is queued now; and a hold of later work until the event has passed.
  Event record();
  void wait(const Event& event);

  // Blocks until the queue is empty, then throws the first exception of the queued work, if any.
  void synchronize();

  // Where the failures of this stream's work meet; setting one is as if queued work had thrown it.
  const std::shared_ptr<StreamFailure>& failure() const noexcept;

  // The cudaStream_t, or nullptr on the CPU.
  void* native() const noexcept;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace fulgur
