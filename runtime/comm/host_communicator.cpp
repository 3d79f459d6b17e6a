#include "runtime/comm/host_communicator.hpp"

#include <utility>

#include "runtime/comm/flight_recorder.hpp"

namespace fulgur {

void HostCommunicator::abort() noexcept {
  aborted_.store(true);
  interrupt();
}

void HostCommunicator::stop() noexcept {
  if (!last_.has_passed()) abort();
  last_.synchronize();
}

void HostCommunicator::throw_aborted(const Operation& operation) const {
  throw CommError(CommError::Kind::kAborted,
                  describe(operation, name()) + ": rank " + std::to_string(rank()) + " aborted");
}

void HostCommunicator::queue(Operation operation, Stream& stream) {
  stream.wait(last_);
  stream.run([this, operation = std::move(operation)] { perform(operation); });
  last_ = stream.record();
}

void HostCommunicator::perform(const Operation& operation) {
  const auto end = [&](FlightRecorder::State state) {
    if (recorder() != nullptr) recorder()->ended(operation.ticket, state);
  };
  if (recorder() != nullptr) recorder()->started(operation.ticket);
  try {
    if (aborted()) throw_aborted(operation);
    if (failure_) {
      throw CommError(failure_->kind(), describe(operation, name()) + ": not tried on rank " +
                                            std::to_string(rank()) +
                                            ", because of an error before: " + failure_->what());
    }
    dispatch(operation);
  } catch (const CommError& error) {
    if (!failure_) failure_ = error;
    end(FlightRecorder::State::kFailed);
    throw;
  } catch (...) {
    end(FlightRecorder::State::kFailed);
    throw;
  }
  end(FlightRecorder::State::kDone);
}

void HostCommunicator::dispatch(const Operation& operation) {
  switch (operation.kind) {
    case OperationKind::kAllReduce:
      return all_reduce_now(operation);
    case OperationKind::kAllGather:
      return all_gather_now(operation);
    case OperationKind::kReduceScatter:
      return reduce_scatter_now(operation);
    case OperationKind::kAllToAll:
      return all_to_all_now(operation);
    case OperationKind::kBroadcast:
      return broadcast_now(operation);
    case OperationKind::kSend:
      return send_now(operation);
    case OperationKind::kRecv:
      return recv_now(operation);
    case OperationKind::kBarrier:
      return barrier_now(operation);
  }
}

}  // namespace fulgur
