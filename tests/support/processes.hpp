#pragma once

#include <sys/types.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace fulgur::test {

// The numbers of all processes, as /proc has them.
inline std::vector<pid_t> all_processes() {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc{} && end == name.data() + name.size()) pids.push_back(pid);
  }
  return pids;
}

inline std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  for (const pid_t pid : all_processes()) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string stat;
    std::getline(file, stat);
    const auto name_end = stat.rfind(')');  // "12 (name) S 1 ...": the state, then the parent
    if (name_end == std::string::npos || stat.size() < name_end + 5) continue;
    if (std::strtol(stat.c_str() + name_end + 4, nullptr, 10) == parent) children.push_back(pid);
  }
  return children;
}

// The living processes whose working directory is `directory`.
inline std::vector<pid_t> processes_in(const std::filesystem::path& directory) {
  std::vector<pid_t> found;
  const auto wanted = std::filesystem::canonical(directory);
  for (const pid_t pid : all_processes()) {
    std::error_code gone;
    const auto cwd = std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd", gone);
    if (!gone && cwd == wanted) found.push_back(pid);
  }
  return found;
}

// Whether `condition` comes true before the deadline. It is asked every few milliseconds.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::seconds deadline = std::chrono::seconds(60)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace fulgur::test
