#include "worker/workplace.hpp"

#include <chrono>
#include <utility>

#include "kernels/devices.hpp"
#include "runtime/comm/nccl.hpp"
#include "runtime/comm/solo.hpp"
#include "runtime/comm/staged.hpp"

namespace fulgur {

Workplace::Workplace(const Job& job, Store& store, FlightRecorder& recorder, Rank rank,
                     const LocalRank& local)
    : job_(job),
      store_(store),
      recorder_(recorder),
      rank_(rank),
      placement_(choose_placement(job, {.gpus = num_cuda_devices(), .nccl = has_nccl()}, local)) {
  if (placement_.device == Device::kCuda) use_cuda_device(placement_.gpu);
  if (placement_.transport == Transport::kUcx) ucx_.emplace();
}

Place Workplace::place() const {
  return {.rank = rank_,
          .device = placement_.device,
          .make_group = [this](const std::string& name, int rank, int size) {
            return make_group(name, rank, size);
          }};
}

std::unique_ptr<Communicator> Workplace::make_group(const std::string& name, int rank,
                                                    int size) const {
  if (size == 1) return make_solo_communicator(name, placement_.device);
  recorder_.joined(name);
  Membership self;
  self.group = name;
  self.rank = rank;
  self.size = size;
  self.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(job_.cluster.comm_timeout_seconds));
  self.recorder = &recorder_;
  if (placement_.transport == Transport::kNccl) return make_nccl_communicator(store_, self);
  auto over_ucx = make_ucx_communicator(*ucx_, store_, self);
  return placement_.device == Device::kCpu ? std::move(over_ucx)
                                           : make_staged_communicator(std::move(over_ucx));
}

}  // namespace fulgur
