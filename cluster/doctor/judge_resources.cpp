// Cores, memory and folders: what a run consumes.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/doctor/judge.hpp"

namespace fulgur {
namespace {

using enum Observation::Verdict;

constexpr std::int64_t kMiB = std::int64_t{1024} * 1024;
constexpr std::int64_t kGiB = 1024 * kMiB;

std::string size(std::int64_t bytes) {
  if (bytes < 0) return "?";
  if (bytes == kUnlimited) return "unlimited";
  if (bytes < kGiB) return fmt::format("{} MiB", bytes / kMiB);
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / static_cast<double>(kGiB));
}

Observation judge_cores(const HostFacts& host) {
  Observation gives{"cores", kOk,
                    host.cores == host.cores_online
                        ? fmt::format("{}", host.cores)
                        : fmt::format("{} of the machine's {}", host.cores, host.cores_online)};
  if (host.cpu_quota == 0 || host.cpu_quota >= static_cast<double>(host.cores)) return gives;
  gives.verdict = kWarn;
  gives.found += fmt::format(", but the control group gives the time of {:.3g}", host.cpu_quota);
  gives.advice =
      "workers that spin are held up: raise the limit (docker --cpus, cpu.max), or give the "
      "program as many cores as it has time for (taskset)";
  return gives;
}

// What may still be taken: by the machine, and by the control group.
std::int64_t free_memory(const HostFacts& host) {
  if (host.memory_limit == kUnlimited) return host.memory_available;
  const auto in_group = host.memory_limit - std::max<std::int64_t>(host.memory_used, 0);
  return host.memory_available == kUnknown ? in_group : std::min(in_group, host.memory_available);
}

Observation judge_memory(const HostFacts& host) {
  constexpr auto kLittle = 2 * kGiB, kTooLittle = 256 * kMiB;
  const auto free = free_memory(host);
  Observation gives{"memory", kOk, fmt::format("{}, {} free", size(host.memory_bytes), size(free))};
  if (host.memory_limit < host.memory_bytes)
    gives.found += fmt::format("; the control group allows {}", size(host.memory_limit));
  if (free == kUnknown || free >= kLittle) return gives;
  gives.verdict = free < kTooLittle ? kMissing : kWarn;
  gives.advice = "even a small run takes some hundred MiB: end other programs, or raise the limit";
  return gives;
}

Observation judge_shared_memory(const FolderFacts& folder) {
  constexpr auto kLittle = 64 * kMiB;
  if (!folder.writable)
    return {"/dev/shm", kWarn, "not writable",
            "UCX then has slower ways between workers: mount a tmpfs there (docker --shm-size=1g)"};
  Observation gives{"/dev/shm", kOk,
                    fmt::format("{}, {} free", size(folder.size_bytes), size(folder.free_bytes))};
  if (folder.free_bytes != kUnknown && folder.free_bytes < kLittle) {
    gives.verdict = kWarn;
    gives.advice = "workers may find no shared memory: enlarge it (docker --shm-size=1g)";
  }
  return gives;
}

Observation judge_runs(const FolderFacts& folder) {
  constexpr auto kLittle = 10 * kGiB, kTooLittle = 64 * kMiB;
  Observation gives{"run directories", kOk,
                    fmt::format("{}: {} free", folder.path, size(folder.free_bytes))};
  if (!folder.writable) {
    gives.verdict = kMissing;
    gives.found = folder.path + ": not writable";
    gives.advice = "start fulgur in a folder that you may write to, or set run_directory";
  } else if (folder.free_bytes != kUnknown && folder.free_bytes < kLittle) {
    gives.verdict = folder.free_bytes < kTooLittle ? kMissing : kWarn;
    gives.advice = "a checkpoint takes 12 bytes a parameter, and checkpoint.keep of them stay";
  }
  return gives;
}

Observation judge_temporary(const FolderFacts& folder) {
  constexpr auto kLittle = kGiB;
  Observation gives{"TMPDIR", kOk,
                    fmt::format("{}: {} free", folder.path, size(folder.free_bytes))};
  if (!folder.writable || (folder.free_bytes != kUnknown && folder.free_bytes < kLittle)) {
    gives.verdict = kWarn;
    gives.advice = "`fulgur parity` records there: set TMPDIR, or give --output";
  }
  if (!folder.writable) gives.found = folder.path + ": not writable";
  return gives;
}

}  // namespace

std::vector<Observation> judge_resources(const HostFacts& host) {
  return {judge_cores(host), judge_memory(host), judge_shared_memory(host.shared_memory),
          judge_runs(host.runs), judge_temporary(host.temporary)};
}

}  // namespace fulgur
