#include "runtime/comm/nccl/link.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <thread>
#include <utility>

#include "kernels/devices.hpp"
#include "runtime/comm/flight_recorder.hpp"
#include "runtime/comm/nccl/check.hpp"

namespace fulgur::nccl {
namespace {

using std::chrono::milliseconds;

// How often the thread looks, and how long it lets NCCL flush, and free its memory, at the end.
constexpr milliseconds kPoll{2};
constexpr milliseconds kFlush{500};
constexpr milliseconds kFree{1000};

// A launch takes some tens of microseconds; connecting takes longer.
constexpr std::chrono::microseconds kSpin{500};
constexpr std::chrono::microseconds kSleep{50};

std::string text_of(milliseconds time) {
  return std::to_string(time.count()) + " ms";
}

// Waits a while for data that this rank has sent and that are still on their way to others.
bool flush(ncclComm_t comm) {
  auto state = ncclCommFinalize(comm);
  const auto deadline = std::chrono::steady_clock::now() + kFlush;
  while (state == ncclInProgress && std::chrono::steady_clock::now() < deadline) {
    if (ncclCommGetAsyncError(comm, &state) != ncclSuccess) return false;
    if (state == ncclInProgress) std::this_thread::sleep_for(kSleep);
  }
  return state == ncclSuccess;
}

}  // namespace

Link::Link(const Membership& self, int device) : self_(self), device_(device) {}

void Link::launch(const std::function<void(ncclComm_t)>& calls) {
  const std::lock_guard lock(calls_);
  if (comm_ == nullptr) throw CommError(CommError::Kind::kAborted, "the communicator has ended");
  const auto deadline = Clock::now() + self_.timeout;
  check(ncclGroupStart(), "ncclGroupStart");
  try {
    calls(comm_);
  } catch (...) {
    static_cast<void>(ncclGroupEnd());  // reports the same error again
    throw;
  }
  check(ncclGroupEnd(), "ncclGroupEnd");
  wait_until_ready(deadline);
}

void Link::wait_until_ready(Clock::time_point deadline) {
  const auto begin = Clock::now();
  for (;;) {
    auto state = ncclInProgress;
    check(ncclCommGetAsyncError(comm_, &state), "ncclCommGetAsyncError");
    check(state, "NCCL");
    if (state == ncclSuccess) return;
    const auto now = Clock::now();
    if (stopped_.load()) throw CommError(CommError::Kind::kAborted, "aborted");
    if (now > deadline) {
      throw CommError(CommError::Kind::kTimeout,
                      "no connection to all ranks within " + text_of(self_.timeout));
    }
    if (now - begin > kSpin) std::this_thread::sleep_for(kSleep);
  }
}

void Link::add(Launched launched) {
  const std::lock_guard lock(mutex_);
  if (failure_) return tell(launched);
  launched_.push_back(std::move(launched));
  if (launched_.size() == 1) changed_.notify_all();
}

void Link::fail(const Launched& launched, const CommError& error) {
  const std::lock_guard lock(mutex_);
  if (failure_) return tell(launched);
  const CommError named(error.kind(), name_of(launched.operation) + ": " + error.what());
  launched.failure->set(std::make_exception_ptr(named));
  if (self_.recorder != nullptr)
    self_.recorder->ended(launched.operation.ticket, FlightRecorder::State::kFailed);
  stop(named);
}

void Link::abort() noexcept {
  const std::lock_guard lock(mutex_);
  std::string what = "rank " + std::to_string(self_.rank) + " aborted";
  if (!launched_.empty()) what = name_of(launched_.front().operation) + ": " + what;
  stop(CommError(CommError::Kind::kAborted, what));
}

void Link::close() noexcept {
  std::unique_lock lock(mutex_);
  observe();
  if (!launched_.empty()) {
    stop(CommError(CommError::Kind::kAborted,
                   name_of(launched_.front().operation) + ": the communicator was destroyed"));
  }
  closing_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, kFree, [&] { return released_; });
}

void Link::watch() noexcept {
  use_cuda_device(device_);
  std::unique_lock lock(mutex_);
  while (!closing_ && !failure_) {
    if (launched_.empty()) {
      changed_.wait(lock, [&] { return closing_ || failure_ || !launched_.empty(); });
    } else {
      changed_.wait_for(lock, kPoll);
    }
    observe();
  }
  const bool quiet = !failure_;
  lock.unlock();
  release(quiet);
  lock.lock();
  given_up_.clear();
  released_ = true;
  changed_.notify_all();
}

void Link::observe() {
  if (failure_) return;
  try {
    while (!launched_.empty() && has_ended(launched_.front()))
      launched_.pop_front();
  } catch (const std::exception& error) {  // of CUDA: the GPU is of no use any more
    return stop(CommError(CommError::Kind::kTransport,
                          name_of(launched_.front().operation) + ": " + error.what()));
  }
  if (launched_.empty()) return;
  const auto& oldest = launched_.front();
  if (oldest.started && Clock::now() - *oldest.started > self_.timeout) {
    return stop(
        CommError(CommError::Kind::kTimeout,
                  name_of(oldest.operation) + ": no progress for " + text_of(self_.timeout)));
  }
  check_transport();
}

bool Link::has_ended(Launched& oldest) {
  auto* const recorder = self_.recorder;
  const auto ticket = oldest.operation.ticket;
  if (!oldest.started) {
    if (!oldest.begin.has_passed()) return false;
    oldest.started = Clock::now();
    if (recorder != nullptr) recorder->started(ticket);
  }
  if (!oldest.end.has_passed()) return false;
  if (recorder != nullptr) recorder->ended(ticket, FlightRecorder::State::kDone);
  return true;
}

void Link::check_transport() {
  const std::unique_lock calls(calls_, std::try_to_lock);
  if (!calls.owns_lock() || comm_ == nullptr) return;  // a launch asks by itself
  auto state = ncclSuccess;
  const auto result = ncclCommGetAsyncError(comm_, &state);
  const auto bad = result != ncclSuccess ? result : state;
  if (bad == ncclSuccess || bad == ncclInProgress) return;
  stop(CommError(kind_of(bad),
                 name_of(launched_.front().operation) + ": NCCL: " + ncclGetErrorString(bad)));
}

void Link::stop(CommError failure) {
  stopped_.store(true);
  failure_ = std::move(failure);
  bool first = true;
  for (const auto& launched : launched_) {
    if (std::exchange(first, false)) {
      launched.failure->set(std::make_exception_ptr(*failure_));
      if (self_.recorder != nullptr)
        self_.recorder->ended(launched.operation.ticket, FlightRecorder::State::kFailed);
    } else {
      tell(launched);
    }
  }
  given_up_ = std::move(launched_);
  changed_.notify_all();
}

void Link::tell(const Launched& launched) const {
  launched.failure->set(std::make_exception_ptr(CommError(
      failure_->kind(), name_of(launched.operation) +
                            ": not done, because of an error before: " + failure_->what())));
  if (self_.recorder != nullptr)
    self_.recorder->ended(launched.operation.ticket, FlightRecorder::State::kFailed);
}

void Link::release(bool quiet) noexcept {
  ncclComm_t comm = nullptr;
  {
    const std::lock_guard lock(calls_);
    comm = std::exchange(comm_, nullptr);
  }
  if (comm == nullptr) return;
  quiet = quiet && flush(comm);
  static_cast<void>(quiet ? ncclCommDestroy(comm) : ncclCommAbort(comm));
}

std::string Link::name_of(const Operation& operation) const {
  auto name = describe(operation, self_.group) + " on rank " + std::to_string(self_.rank);
  if (operation.kind == OperationKind::kSend) name += " to rank " + std::to_string(operation.peer);
  if (operation.kind == OperationKind::kRecv)
    name += " from rank " + std::to_string(operation.peer);
  return name;
}

}  // namespace fulgur::nccl
