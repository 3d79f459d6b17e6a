#include "cluster/doctor/host_facts.hpp"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "cluster/doctor/system_text.hpp"
#include "cluster/launch/local.hpp"
#include "cluster/launch/unique_fd.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::int64_t number_in(const fs::path& path) {
  return system_text::number(read(path)).value_or(kUnknown);
}

std::string line_in(const fs::path& path) {
  const auto text = read(path);
  return text.substr(0, text.find('\n'));
}

std::int64_t bytes(unsigned long blocks, unsigned long size) {
  return static_cast<std::int64_t>(blocks) * static_cast<std::int64_t>(size);
}

// Of the folder, or where it does not exist yet, of the nearest one above it.
FolderFacts folder_facts(const fs::path& path) {
  FolderFacts facts;
  std::error_code error;
  auto existing = fs::absolute(path, error).lexically_normal();
  facts.path = existing.string();
  while (!fs::exists(existing, error) && existing.has_relative_path())
    existing = existing.parent_path();
  facts.writable = fs::is_directory(existing, error) && ::access(existing.c_str(), W_OK) == 0;
  struct statvfs found {};
  if (::statvfs(existing.c_str(), &found) != 0) return facts;
  facts.free_bytes = bytes(found.f_bavail, found.f_frsize);
  facts.size_bytes = bytes(found.f_blocks, found.f_frsize);
  return facts;
}

std::int64_t soft_limit(__rlimit_resource resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return kUnknown;
  if (limit.rlim_cur == RLIM_INFINITY) return kUnlimited;
  return static_cast<std::int64_t>(limit.rlim_cur);
}

// The limits of the control group and of all above it; those of the older hierarchy where there is
// no unified one.
void add_control_group(HostFacts& facts, const fs::path& root) {
  const auto mount = root / "sys/fs/cgroup";
  const fs::path own = system_text::control_group(read(root / "proc/self/cgroup"));
  for (auto group = own.relative_path();; group = group.parent_path()) {
    const auto folder = mount / group;
    const auto limit = system_text::byte_limit(read(folder / "memory.max"));
    if (limit != kUnknown && limit < facts.memory_limit) {
      facts.memory_limit = limit;
      facts.memory_used = number_in(folder / "memory.current");
    }
    const auto quota = system_text::cpu_quota(read(folder / "cpu.max"));
    if (quota > 0 && (facts.cpu_quota == 0 || quota < facts.cpu_quota)) facts.cpu_quota = quota;
    if (group.empty()) break;
  }
  const auto older = system_text::byte_limit(read(mount / "memory/memory.limit_in_bytes"));
  if (older != kUnknown && older < facts.memory_limit) {
    facts.memory_limit = older;
    facts.memory_used = number_in(mount / "memory/memory.usage_in_bytes");
  }
  if (facts.cpu_quota == 0)
    facts.cpu_quota =
        std::max(0.0, system_text::cpu_quota(read(mount / "cpu/cpu.cfs_quota_us") + " " +
                                             read(mount / "cpu/cpu.cfs_period_us")));
}

void add_limits(HostFacts& facts, const fs::path& root) {
  constexpr int kSysPtrace = 19;  // CAP_SYS_PTRACE
  facts.open_files = soft_limit(RLIMIT_NOFILE);
  facts.locked_memory = soft_limit(RLIMIT_MEMLOCK);
  facts.processes = soft_limit(RLIMIT_NPROC);
  facts.core_file = soft_limit(RLIMIT_CORE);
  facts.ptrace_scope = number_in(root / "proc/sys/kernel/yama/ptrace_scope");
  facts.may_trace = system_text::has_capability(read(root / "proc/self/status"), kSysPtrace);
}

bool loopback_connects() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  return listener.get() >= 0 && client.get() >= 0 && ::bind(listener.get(), generic, size) == 0 &&
         ::listen(listener.get(), 1) == 0 && ::getsockname(listener.get(), generic, &size) == 0 &&
         ::connect(client.get(), generic, size) == 0;
}

bool clock_is_synchronised() {
  timex clock{};
  return ::adjtimex(&clock) != -1 && (clock.status & STA_UNSYNC) == 0;
}

std::string find_in_path(const char* program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const auto candidate = fs::path(folder) / program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate.string();
  }
  return {};
}

fs::path temporary_folder() {
  std::error_code error;
  const auto folder = fs::temp_directory_path(error);
  return error ? fs::path("/tmp") : folder;
}

}  // namespace

HostFacts gather_host_facts(const fs::path& runs, const fs::path& root) {
  HostFacts facts;
  facts.cores = static_cast<std::int64_t>(usable_cores().size());
  facts.cores_online = ::sysconf(_SC_NPROCESSORS_ONLN);
  const auto memory = read(root / "proc/meminfo");
  facts.memory_bytes = system_text::meminfo(memory, "MemTotal");
  facts.memory_available = system_text::meminfo(memory, "MemAvailable");
  facts.huge_pages = system_text::meminfo(memory, "HugePages_Total");
  add_control_group(facts, root);
  facts.shared_memory = folder_facts(root / "dev/shm");
  facts.temporary = folder_facts(temporary_folder());
  facts.runs = folder_facts(runs);
  add_limits(facts, root);
  facts.transparent_huge_pages =
      system_text::chosen(read(root / "sys/kernel/mm/transparent_hugepage/enabled"));
  if (const auto ports =
          system_text::port_range(read(root / "proc/sys/net/ipv4/ip_local_port_range"))) {
    facts.first_port = ports->first;
    facts.last_port = ports->second;
  }
  facts.loopback = loopback_connects();
  facts.clock_source =
      line_in(root / "sys/devices/system/clocksource/clocksource0/current_clocksource");
  facts.clock_synchronised = clock_is_synchronised();
  std::error_code error;
  facts.has_nvidia_device = fs::exists(root / "dev/nvidia0", error);
  facts.nvidia_driver = system_text::nvidia_driver(read(root / "proc/driver/nvidia/version"));
  facts.slurm = find_in_path("sbatch");
  return facts;
}

}  // namespace fulgur
