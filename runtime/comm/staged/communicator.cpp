#include "runtime/comm/staged/communicator.hpp"

#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "runtime/comm/staged.hpp"

namespace fulgur {
namespace staged {
namespace {

bool gives_input(const Operation& operation, int rank) {
  switch (operation.kind) {
    case OperationKind::kBroadcast:
      return operation.peer == rank;
    case OperationKind::kRecv:
    case OperationKind::kBarrier:
      return false;
    default:
      return true;
  }
}

bool takes_output(const Operation& operation, int rank) {
  switch (operation.kind) {
    case OperationKind::kBroadcast:
      return operation.peer != rank;
    case OperationKind::kSend:
    case OperationKind::kBarrier:
      return false;
    default:
      return true;
  }
}

}  // namespace

StagedCommunicator::StagedCommunicator(std::unique_ptr<Communicator> host)
    : Communicator({host->name(), host->rank(), host->size(), host->timeout()}, Device::kCuda),
      host_(std::move(host)),
      exchanger_([this] { exchange_all(); }) {}

StagedCommunicator::~StagedCommunicator() {
  try {
    if (!last_.has_passed()) abort();
    last_.synchronize();
  } catch (...) {
    gpu_has_failed_ = true;
    abort();
  }
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  arrived_.notify_one();
}

void StagedCommunicator::queue(Operation operation, Stream& stream) {
  stream.wait(last_);
  const auto staged = stage(operation);
  auto* const in = static_cast<std::byte*>(staged.in.data);
  const auto* const out = static_cast<const std::byte*>(staged.out.data);
  if (gives_input(operation, rank()))
    copy_to_host(operation.in.data, in, operation.in.bytes(), stream);
  const auto number = ++queued_;
  copied_.queue_raise(number, stream);
  Exchange exchange{staged, number, stream.failure()};
  done_.queue_wait(number, stream);
  {
    const std::lock_guard lock(mutex_);
    exchanges_.push_back(std::move(exchange));
  }
  arrived_.notify_one();
  if (takes_output(operation, rank()))
    copy_to_device(out, operation.out.data, operation.out.bytes(), stream);
  last_ = stream.record();
}

// The operation on the host's memory. A broadcast has one tensor.
Operation StagedCommunicator::stage(const Operation& operation) {
  auto staged = operation;
  staged.in.data = in_.at_least(operation.in.bytes());
  staged.out.data = operation.kind == OperationKind::kBroadcast
                        ? staged.in.data
                        : out_.at_least(operation.out.bytes());
  return staged;
}

void StagedCommunicator::exchange_all() noexcept {
  for (;;) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return closing_ || !exchanges_.empty(); });
    if (exchanges_.empty()) return;
    const auto next = std::move(exchanges_.front());
    exchanges_.pop_front();
    lock.unlock();
    try {
      if (!wait_for_input(next.number)) continue;
      exchange(next.operation);
      host_stream_.synchronize();
    } catch (...) {
      next.failure->set(std::current_exception());
    }
    done_.raise(next.number);
  }
}

// Whether the input of operation `number` has come to the host; false when it never will. Looks often
// at first, because an exchange is a part of a step's critical path, and leaves the core to others then.
bool StagedCommunicator::wait_for_input(std::uint32_t number) const noexcept {
  constexpr int kEagerLooks = 200;
  constexpr std::chrono::microseconds kNap{20};
  for (int looks = 0; !copied_.is_raised(number); ++looks) {
    if (gpu_has_failed_) return false;
    if (looks < kEagerLooks) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kNap);
    }
  }
  return true;
}

void StagedCommunicator::exchange(const Operation& operation) {
  const auto& [in, out] = std::pair(operation.in, operation.out);
  const auto& what = operation.what;
  switch (operation.kind) {
    case OperationKind::kAllReduce:
      return host_->all_reduce(in, out, operation.reduce, host_stream_, what);
    case OperationKind::kAllGather:
      return host_->all_gather_v(in, out, operation.recv_counts, host_stream_, what);
    case OperationKind::kReduceScatter:
      return host_->reduce_scatter_v(in, out, operation.send_counts, host_stream_, what);
    case OperationKind::kAllToAll:
      return host_->all_to_all_v(in, operation.send_counts, out, operation.recv_counts,
                                 host_stream_, what);
    case OperationKind::kBroadcast:
      return host_->broadcast(in, operation.peer, host_stream_, what);
    case OperationKind::kSend:
      return host_->send(in, operation.peer, host_stream_, what);
    case OperationKind::kRecv:
      return host_->recv(out, operation.peer, host_stream_, what);
    case OperationKind::kBarrier:
      return host_->barrier(host_stream_, what);
  }
}

}  // namespace staged

std::unique_ptr<Communicator> make_staged_communicator(std::unique_ptr<Communicator> host) {
  return std::make_unique<staged::StagedCommunicator>(std::move(host));
}

}  // namespace fulgur
