#include "worker/placement.hpp"

#include <doctest/doctest.h>

#include <string>

namespace fulgur {
namespace {

Job job_of(int workers, DeviceKind device, Transport transport = Transport::kAuto) {
  Job job;
  job.layout.dp = workers;
  job.device = device;
  job.cluster.transport = transport;
  return job;
}

// The rank of a job whose workers are all on one node.
LocalRank of(const Job& job, int rank = 0) {
  return {.rank = rank, .workers = static_cast<int>(job.layout.dp)};
}

Placement place(const Job& job, const Offer& offer, int rank) {
  return choose_placement(job, offer, of(job, rank));
}

constexpr Placement kProcessor{.device = Device::kCpu, .transport = Transport::kUcx};

std::string refusal(const Job& job, const Offer& offer) {
  try {
    choose_placement(job, offer, of(job));
  } catch (const JobError& error) {
    return error.what();
  }
  return "it was taken";
}

}  // namespace

TEST_SUITE("worker/placement") {
  TEST_CASE("device auto takes the GPUs when there is one for every worker") {
    const auto job = job_of(2, DeviceKind::kAuto);
    CHECK(choose_placement(job, {.gpus = 0, .nccl = true}, of(job, 1)) == kProcessor);
    CHECK(choose_placement(job, {.gpus = 1, .nccl = true}, of(job, 1)) == kProcessor);
    CHECK(choose_placement(job, {.gpus = 3, .nccl = true}, of(job, 1)) ==
          Placement{.device = Device::kCuda, .gpu = 1, .transport = Transport::kNccl});
    CHECK(place(job_of(2, DeviceKind::kCpu), {.gpus = 3, .nccl = true}, 1) == kProcessor);
  }

  TEST_CASE("on several nodes a worker takes the GPU of its place on the node") {
    const auto job = job_of(8, DeviceKind::kAuto);
    const Offer offer{.gpus = 4, .nccl = true};
    CHECK(choose_placement(job, offer, {.rank = 3, .workers = 4}) ==
          Placement{.device = Device::kCuda, .gpu = 3, .transport = Transport::kNccl});
    CHECK(choose_placement(job, offer, {.rank = 3, .workers = 5}) == kProcessor);
  }

  TEST_CASE("GPUs are joined by UCX where the build has no NCCL, or the recipe says so") {
    const Placement over_ucx{.device = Device::kCuda, .gpu = 1, .transport = Transport::kUcx};
    CHECK(place(job_of(2, DeviceKind::kCuda), {.gpus = 2, .nccl = false}, 1) == over_ucx);
    CHECK(place(job_of(2, DeviceKind::kCuda, Transport::kUcx), {.gpus = 2, .nccl = true}, 1) ==
          over_ucx);
  }

  TEST_CASE("workers share GPUs only over UCX, and only when the recipe wants GPUs") {
    const Offer one{.gpus = 1, .nccl = true};
    for (const int rank : {0, 1, 2}) {
      CHECK(place(job_of(3, DeviceKind::kCuda, Transport::kUcx), one, rank) ==
            Placement{.device = Device::kCuda, .gpu = 0, .transport = Transport::kUcx});
    }
    CHECK(place(job_of(3, DeviceKind::kCuda, Transport::kUcx), {.gpus = 2}, 2).gpu == 0);
    CHECK(place(job_of(3, DeviceKind::kAuto, Transport::kUcx), one, 1) == kProcessor);
    const auto text = refusal(job_of(3, DeviceKind::kCuda), one);
    CHECK(text.find("a GPU for each of 3 workers; this machine has 1") != std::string::npos);
    CHECK(text.find("cluster.transport: ucx") != std::string::npos);
  }

  TEST_CASE("what is not there is refused by name") {
    const auto no_gpu = refusal(job_of(1, DeviceKind::kCuda), {.gpus = 0});
    CHECK(no_gpu.find("device: cuda wants a GPU") != std::string::npos);
    CHECK(refusal(job_of(2, DeviceKind::kCuda, Transport::kUcx), {.gpus = 0}) == no_gpu);
    const auto no_nccl =
        refusal(job_of(2, DeviceKind::kCuda, Transport::kNccl), {.gpus = 2, .nccl = false});
    CHECK(no_nccl.find("this build has none") != std::string::npos);
    // auto may not fall back to the processor when the recipe asks for NCCL.
    const auto too_few =
        refusal(job_of(2, DeviceKind::kAuto, Transport::kNccl), {.gpus = 1, .nccl = true});
    CHECK(too_few.find("wants a GPU for each of 2 workers; this machine has 1") !=
          std::string::npos);
  }

  TEST_CASE("one worker exchanges nothing and needs no NCCL") {
    CHECK(place(job_of(1, DeviceKind::kCuda, Transport::kNccl), {.gpus = 1, .nccl = false}, 0) ==
          Placement{.device = Device::kCuda, .gpu = 0, .transport = Transport::kUcx});
  }
}

}  // namespace fulgur
