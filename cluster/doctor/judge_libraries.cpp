// GPUs and libraries, as a worker sees them.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/doctor/judge.hpp"

namespace fulgur {
namespace {

using enum Observation::Verdict;

constexpr double kGiB = 1024.0 * 1024 * 1024;

std::string cuda_version(std::int64_t number) {
  return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

Observation judge_gpu(std::size_t index, const GpuFacts& gpu) {
  Observation gives{
      fmt::format("GPU {}", index), kOk,
      fmt::format("{}, {:.1f} GiB, compute capability {}.{}", gpu.name,
                  static_cast<double>(gpu.memory_bytes) / kGiB, gpu.major, gpu.minor)};
  if (gpu.problem.empty()) return gives;
  gives.verdict = kWarn;
  gives.found += ": " + gpu.problem;
  gives.advice = fmt::format("build for it: -DCMAKE_CUDA_ARCHITECTURES={}{}", gpu.major, gpu.minor);
  return gives;
}

Observation judge_no_gpu(const HostFacts& host, const LibraryFacts& libraries) {
  if (!host.has_nvidia_device)
    return {"GPUs", kOk,
            fmt::format("none; workers compute on processors{}",
                        libraries.cuda ? "" : " (built without CUDA)")};
  if (!libraries.cuda)
    return {"GPUs", kWarn, "there is an NVIDIA GPU, but this build has no CUDA",
            "build with `cmake --preset cuda` to use it"};
  return {"GPUs", kWarn,
          "there is an NVIDIA GPU, but CUDA does not use it: " + libraries.cuda_problem,
          "compare with nvidia-smi; CUDA_VISIBLE_DEVICES may hide it"};
}

Observation judge_cuda(const HostFacts& host, const LibraryFacts& libraries) {
  const auto driver =
      host.nvidia_driver.empty() ? "" : fmt::format(" (driver {})", host.nvidia_driver);
  if (libraries.cuda_driver == 0)
    return {"CUDA", host.has_nvidia_device ? kWarn : kOk,
            fmt::format("{}, and no driver here{}", cuda_version(libraries.cuda_runtime), driver),
            host.has_nvidia_device ? "install NVIDIA's driver for the GPU" : ""};
  Observation gives{
      "CUDA", kOk,
      fmt::format("{}; the driver serves up to {}{}", cuda_version(libraries.cuda_runtime),
                  cuda_version(libraries.cuda_driver), driver)};
  if (libraries.cuda_driver / 1000 < libraries.cuda_runtime / 1000) {
    gives.verdict = kWarn;
    gives.advice = "update the driver, or build with an older CUDA toolkit";
  }
  return gives;
}

Observation judge_nccl(const LibraryFacts& libraries) {
  if (!libraries.nccl.empty()) return {"NCCL", kOk, libraries.nccl};
  if (libraries.gpus.size() < 2) return {"NCCL", kOk, "none, and no two GPUs that would need it"};
  return {"NCCL", kWarn, "none: GPUs exchange over UCX through the host's memory, which is slower",
          "install NCCL (libnccl-dev) and configure again"};
}

bool is_shared_memory(const std::string& transport) {
  return transport.starts_with("posix/") || transport.starts_with("sysv/");
}

Observation judge_transports(const LibraryFacts& libraries) {
  const auto& names = libraries.ucx_transports;
  Observation gives{"UCX transports", kOk, fmt::format("{}", fmt::join(names, " "))};
  const bool between_processes = std::any_of(
      names.begin(), names.end(), [](const auto& name) { return !name.starts_with("self/"); });
  if (!between_processes) {
    gives.verdict = kMissing;
    gives.advice = "no transport leads to another process: unset UCX_TLS, or add tcp,posix,sysv";
  } else if (std::none_of(names.begin(), names.end(), is_shared_memory)) {
    gives.verdict = kWarn;
    gives.advice = "no shared memory: unset UCX_TLS or add posix,sysv; see also /dev/shm";
  }
  return gives;
}

Observation judge_lanes(const LibraryFacts& libraries) {
  const auto& lanes = libraries.ucx_lanes;
  Observation gives{"UCX lanes", kOk,
                    fmt::format("between workers here: {}", fmt::join(lanes, " "))};
  if (lanes.empty()) {
    gives.found = "none: two workers on this machine cannot exchange tensors";
    gives.verdict = kMissing;
    gives.advice = "unset the UCX_ variables; UCX_LOG_LEVEL=info says more";
  } else if (std::none_of(lanes.begin(), lanes.end(), is_shared_memory)) {
    gives.verdict = kWarn;
    gives.advice =
        "workers of one machine would exchange over a network: let UCX use shared memory";
  }
  return gives;
}

void add_ucx(const LibraryFacts& libraries, std::vector<Observation>& all) {
  if (!libraries.ucx_problem.empty()) {
    all.push_back({"UCX", kMissing, fmt::format("{}: {}", libraries.ucx, libraries.ucx_problem),
                   "unset the UCX_ variables; UCX_LOG_LEVEL=info says more"});
    return;
  }
  all.push_back({"UCX", kOk, libraries.ucx});
  all.push_back(judge_transports(libraries));
  all.push_back(judge_lanes(libraries));
}

}  // namespace

std::vector<Observation> judge_libraries(const HostFacts& host, const LibraryFacts& libraries) {
  std::vector<Observation> all;
  for (std::size_t index = 0; index < libraries.gpus.size(); ++index)
    all.push_back(judge_gpu(index, libraries.gpus[index]));
  if (libraries.gpus.empty()) all.push_back(judge_no_gpu(host, libraries));
  if (libraries.cuda) {
    all.push_back(judge_cuda(host, libraries));
    all.push_back(judge_nccl(libraries));
  }
  add_ucx(libraries, all);
  all.push_back({"HDF5", kOk,
                 fmt::format("{}, {}", libraries.hdf5,
                             libraries.hdf5_thread_safe
                                 ? "thread-safe"
                                 : "not thread-safe (a worker needs it on one thread at a time)")});
  all.push_back({"BLAS", kOk, libraries.blas});
  return all;
}

}  // namespace fulgur
