#include "cluster/launch/memory_group.hpp"

#include <fmt/format.h>

#include <fstream>

namespace fulgur {
namespace {

namespace fs = std::filesystem;

// The number behind `key` in a file of lines "key number".
std::optional<std::int64_t> number_behind(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  for (std::int64_t number = 0; file >> word >> number;) {
    if (word == key) return number;
  }
  return std::nullopt;
}

std::optional<std::int64_t> number_in(const fs::path& path) {
  constexpr std::int64_t kNoLimit = std::int64_t{1}
                                    << 60;  // version 1 writes a huge number instead
  std::ifstream file(path);
  std::int64_t number = 0;
  if (!(file >> number) || number >= kNoLimit) return std::nullopt;  // version 2 writes "max"
  return number;
}

// The folder of this process's group below `cgroups`: behind "0::" in version 2, behind the controller in 1.
fs::path folder_of_group(const fs::path& proc, const fs::path& cgroups) {
  std::ifstream file(proc / "self" / "cgroup");
  fs::path found = cgroups;
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos || second + 2 > line.size()) continue;
    const auto controller = line.substr(first + 1, second - first - 1);
    const auto path = line.substr(second + 2);  // without its first slash
    if (controller == "memory") return cgroups / "memory" / path;
    if (controller.empty()) found = cgroups / path;
  }
  return found;
}

}  // namespace

MemoryGroup read_memory_group(const fs::path& proc, const fs::path& cgroups) {
  MemoryGroup group;
  group.kills = number_behind(proc / "vmstat", "oom_kill").value_or(0);
  const auto folder = folder_of_group(proc, cgroups);
  group.limit = number_in(folder / "memory.max");
  if (!group.limit) group.limit = number_in(folder / "memory.limit_in_bytes");
  group.peak = number_in(folder / "memory.peak");
  if (!group.peak) group.peak = number_in(folder / "memory.max_usage_in_bytes");
  return group;
}

std::string out_of_memory(const MemoryGroup& before, const MemoryGroup& now) {
  if (now.kills <= before.kills) return {};
  const auto gib = [](std::int64_t bytes) {
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30));
  };
  std::string text = "for want of memory";
  if (now.limit) text += ": limit " + gib(*now.limit);
  if (now.peak) text += (now.limit ? ", peak " : ": peak ") + gib(*now.peak);
  return text;
}

}  // namespace fulgur
