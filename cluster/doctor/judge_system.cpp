// Limits, permissions and clocks: what the system lets a run do.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/doctor/judge.hpp"

namespace fulgur {
namespace {

using enum Observation::Verdict;

bool has_transport(const std::vector<std::string>& names, std::string_view part) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return name.find(part) != std::string::npos; });
}

std::string count(std::int64_t number) {
  if (number == kUnlimited) return "unlimited";
  return number == kUnknown ? "?" : fmt::format("{}", number);
}

Observation judge_open_files(const HostFacts& host) {
  constexpr std::int64_t kLittle = 1024, kTooLittle = 128;
  Observation gives{"open files", kOk, "at most " + count(host.open_files)};
  if (host.open_files == kUnknown || host.open_files >= kLittle) return gives;
  gives.verdict = host.open_files < kTooLittle ? kMissing : kWarn;
  gives.advice = "ulimit -n 65536: a worker opens some for every other worker and data file";
  return gives;
}

// InfiniBand and its kind lock the memory that they move.
Observation judge_locked_memory(const HostFacts& host,
                                const std::optional<LibraryFacts>& libraries) {
  const bool unlimited = host.locked_memory == kUnlimited;
  Observation gives{"locked memory", kOk,
                    unlimited || host.locked_memory == kUnknown
                        ? "at most " + count(host.locked_memory)
                        : fmt::format("at most {} KiB a process", host.locked_memory / 1024)};
  const bool rdma = libraries && (has_transport(libraries->ucx_transports, "rc_") ||
                                  has_transport(libraries->ucx_transports, "ud_") ||
                                  has_transport(libraries->ucx_transports, "dc_"));
  if (rdma && !unlimited) {
    gives.verdict = kWarn;
    gives.advice = "ulimit -l unlimited: the InfiniBand adapter locks what it sends";
  }
  return gives;
}

Observation judge_processes(const HostFacts& host) {
  constexpr std::int64_t kLittle = 1024;
  Observation gives{"processes", kOk, "at most " + count(host.processes)};
  if (host.processes != kUnknown && host.processes < kLittle) {
    gives.verdict = kWarn;
    gives.advice = "ulimit -u 65536: threads count too, and a worker has some";
  }
  return gives;
}

Observation judge_core_files(const HostFacts& host) {
  if (host.core_file == 0)
    return {"core files", kOk, "none (ulimit -c unlimited when a worker crashes)"};
  return {"core files", kOk, "are written when a worker crashes"};
}

// UCX's transport cma copies out of another process; the Yama module may forbid it.
Observation judge_cma(const HostFacts& host, const std::optional<LibraryFacts>& libraries) {
  const bool allowed = host.ptrace_scope <= 0 || host.may_trace;
  const bool used = libraries && has_transport(libraries->ucx_lanes, "cma/");
  Observation gives{"copies between processes", kOk,
                    fmt::format("{}{}", allowed ? "allowed" : "not allowed",
                                used ? "" : "; UCX's lanes need none")};
  if (host.ptrace_scope >= 0) gives.found += fmt::format(" (ptrace_scope {})", host.ptrace_scope);
  if (used && !allowed) {
    gives.verdict = kWarn;
    gives.advice = "sysctl kernel.yama.ptrace_scope=0, or UCX_TLS=^cma";
  }
  return gives;
}

Observation judge_huge_pages(const HostFacts& host) {
  return {
      "huge pages", kOk,
      fmt::format("{} reserved; transparent: {}", host.huge_pages == kUnknown ? 0 : host.huge_pages,
                  host.transparent_huge_pages.empty() ? "unknown" : host.transparent_huge_pages)};
}

Observation judge_ports(const HostFacts& host) {
  constexpr std::int64_t kLittle = 1024;
  if (!host.loopback)
    return {"ports", kMissing, "nothing can listen on 127.0.0.1",
            "bring the loopback interface up (ip link set lo up)"};
  if (host.first_port == kUnknown) return {"ports", kOk, "127.0.0.1 works"};
  Observation gives{"ports", kOk,
                    fmt::format("{} to {}; 127.0.0.1 works", host.first_port, host.last_port)};
  if (host.last_port - host.first_port + 1 < kLittle) {
    gives.verdict = kWarn;
    gives.advice = "sysctl net.ipv4.ip_local_port_range=\"32768 60999\"";
  }
  return gives;
}

// Deadlines and speeds are measured by the clock many times a step.
Observation judge_clock(const HostFacts& host) {
  Observation gives{"clock", kOk, host.clock_source.empty() ? "unknown source" : host.clock_source};
  if (host.clock_source == "hpet" || host.clock_source == "acpi_pm" ||
      host.clock_source == "jiffies") {
    gives.verdict = kWarn;
    gives.advice = "it is slow to read: see why the kernel has given up tsc (dmesg)";
  }
  return gives;
}

Observation judge_time(const HostFacts& host) {
  if (host.clock_synchronised) return {"time", kOk, "synchronised"};
  return {"time", kWarn, "not synchronised: times in logs of several machines do not compare",
          "run chrony or systemd-timesyncd; runs on one machine do not mind"};
}

Observation judge_slurm(const HostFacts& host) {
  return {"Slurm", kOk, host.slurm.empty() ? "none here" : host.slurm};
}

}  // namespace

std::vector<Observation> judge_system(const HostFacts& host,
                                      const std::optional<LibraryFacts>& libraries) {
  return {judge_open_files(host),     judge_locked_memory(host, libraries),
          judge_processes(host),      judge_core_files(host),
          judge_cma(host, libraries), judge_huge_pages(host),
          judge_ports(host),          judge_clock(host),
          judge_time(host),           judge_slurm(host)};
}

}  // namespace fulgur
