#include "worker/workplace.hpp"

#include <fmt/format.h>

#include <chrono>

#include "kernels/devices.hpp"
#include "runtime/comm/nccl.hpp"
#include "runtime/comm/solo.hpp"

namespace fulgur {
namespace {

// All workers of a job are on this machine, and rank r has GPU r.
Device choose_device(const Job& job) {
  if (job.device == DeviceKind::kCpu) return Device::kCpu;
  const int workers = world_size(job.layout), gpus = num_cuda_devices();
  if (gpus >= workers && (workers == 1 || has_nccl())) return Device::kCuda;
  if (job.device == DeviceKind::kAuto) return Device::kCpu;
  throw JobError(
      fmt::format("device: cuda wants a GPU for each of {} workers; this machine has {}{}", workers,
                  gpus, gpus >= workers ? ", but this build has no NCCL to join them" : ""));
}

}  // namespace

Workplace::Workplace(const Job& job, Store& store, FlightRecorder& recorder, Rank rank)
    : job_(job), store_(store), recorder_(recorder), rank_(rank), device_(choose_device(job)) {
  if (device_ == Device::kCuda) {
    use_cuda_device(rank.value());
  } else {
    ucx_.emplace();
  }
}

Place Workplace::place() const {
  return {.rank = rank_,
          .device = device_,
          .make_group = [this](const std::string& name, int rank, int size) {
            return make_group(name, rank, size);
          }};
}

std::unique_ptr<Communicator> Workplace::make_group(const std::string& name, int rank,
                                                    int size) const {
  if (size == 1) return make_solo_communicator(name, device_);
  Membership self;
  self.group = name;
  self.rank = rank;
  self.size = size;
  self.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(job_.cluster.comm_timeout_seconds));
  self.recorder = &recorder_;
  if (device_ == Device::kCuda) return make_nccl_communicator(store_, self);
  return make_ucx_communicator(*ucx_, store_, self);
}

}  // namespace fulgur
