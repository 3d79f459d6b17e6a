#include "worker/placement.hpp"

#include <fmt/format.h>

namespace fulgur {
namespace {

[[noreturn]] void refuse_cuda(int workers, const Offer& offer) {
  if (offer.gpus == 0) throw JobError("device: cuda wants a GPU, and this machine shows none");
  throw JobError(
      fmt::format("device: cuda wants a GPU for each of {} workers; this machine has {}. Take "
                  "fewer workers, or "
                  "cluster.transport: ucx, with which workers share GPUs",
                  workers, offer.gpus));
}

[[noreturn]] void refuse_nccl(int workers, const Offer& offer) {
  if (!offer.nccl)
    throw JobError("cluster.transport: nccl wants NCCL, and this build has none; take auto or ucx");
  throw JobError(fmt::format(
      "cluster.transport: nccl wants a GPU for each of {} workers; this machine has {}. "
      "Take fewer workers, or auto or ucx",
      workers, offer.gpus));
}

}  // namespace

Placement choose_placement(const Job& job, const Offer& offer, const LocalRank& local) {
  const int workers = local.workers;
  const auto wanted = job.cluster.transport;
  const bool gpu_for_each = offer.gpus >= workers;
  if (wanted == Transport::kNccl && world_size(job.layout) > 1 && !(offer.nccl && gpu_for_each))
    refuse_nccl(workers, offer);
  if (job.device == DeviceKind::kCpu || (job.device == DeviceKind::kAuto && !gpu_for_each))
    return {.device = Device::kCpu, .transport = Transport::kUcx};
  const bool may_share = wanted == Transport::kUcx && offer.gpus > 0;
  if (!gpu_for_each && !may_share) refuse_cuda(workers, offer);
  const bool over_nccl = wanted != Transport::kUcx && offer.nccl;
  return {.device = Device::kCuda,
          .gpu = local.rank % offer.gpus,
          .transport = over_nccl ? Transport::kNccl : Transport::kUcx};
}

}  // namespace fulgur
