#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace fulgur {

// What the kernel knows of the memory of this process's control group, and of the processes that it killed for
// want of memory; what cannot be read is not there.
struct MemoryGroup {
  std::int64_t kills = 0;             // on this host since it started, in whatever group
  std::optional<std::int64_t> limit;  // bytes; none when there is no limit
  std::optional<std::int64_t> peak;   // bytes
};

// `proc` and `cgroups` are /proc and /sys/fs/cgroup, in versions 1 and 2 of control groups.
MemoryGroup read_memory_group(const std::filesystem::path& proc = "/proc",
                              const std::filesystem::path& cgroups = "/sys/fs/cgroup");

// "for want of memory: limit 2.0 GiB, peak 2.0 GiB", when the kernel has killed for it since `before`; else
// empty.
std::string out_of_memory(const MemoryGroup& before, const MemoryGroup& now);

}  // namespace fulgur
