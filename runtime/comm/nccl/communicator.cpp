#include "runtime/comm/nccl/communicator.hpp"

#include <utility>

#include "runtime/comm/flight_recorder.hpp"
#include "runtime/comm/nccl.hpp"
#include "runtime/comm/nccl/check.hpp"
#include "runtime/comm/nccl/max_keys.hpp"

namespace fulgur {
namespace nccl {
namespace {

bool is_maximum_of_floats(const Operation& operation) {
  return operation.kind == OperationKind::kAllReduce && operation.reduce == ReduceOp::kMax &&
         (operation.out.dtype == DType::kFloat32 || operation.out.dtype == DType::kFloat64);
}

}  // namespace

NcclCommunicator::NcclCommunicator(Store& store, const Membership& self, int device)
    : Communicator(self, Device::kCuda),
      device_(device),
      link_(std::make_shared<Link>(self, device)) {
  if (size() > 1) link_->open(store);
}

NcclCommunicator::~NcclCommunicator() {
  if (size() == 1) return;
  link_->close();
  try {
    last_.synchronize();
  } catch (...) {
    return;  // the GPU has failed: nothing is queued there any more
  }
}

void NcclCommunicator::queue(Operation operation, Stream& stream) {
  stream.wait(last_);
  Link::Launched launched{std::move(operation), stream.record(), {}, stream.failure()};
  try {
    if (!link_->has_failed()) issue(launched.operation, stream);
  } catch (const CommError& error) {
    link_->fail(launched, error);
    last_ = stream.record();
    return;
  }
  last_ = launched.end = stream.record();
  link_->add(std::move(launched));  // says so to the stream when the link has failed
}

void NcclCommunicator::issue(const Operation& operation, Stream& stream) {
  const bool by_keys = is_maximum_of_floats(operation);
  if (by_keys) to_max_keys(operation.in, operation.out, stream);
  link_->launch([&](ncclComm_t comm) {
    call(operation, rank(), spare_bytes(device_), comm, native(stream));
  });
  if (by_keys) from_max_keys(operation.out, stream);
}

}  // namespace nccl

bool has_nccl() noexcept {
  return true;
}

std::unique_ptr<Communicator> make_nccl_communicator(Store& store, const Membership& self) {
  int device = 0;
  nccl::check(cudaGetDevice(&device), "cudaGetDevice");
  return std::make_unique<nccl::NcclCommunicator>(store, self, device);
}

}  // namespace fulgur
