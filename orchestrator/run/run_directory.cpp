#include "orchestrator/run/run_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>

namespace fulgur {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* call) {
  throw std::system_error(errno, std::generic_category(), path.string() + ": " + call);
}

UniqueFd lock_file(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (fd.get() < 0) fail(path, "open");
  // Who only looks holds a shared lock for a moment (holder_of).
  constexpr int kTries = 10;
  int tries = 0;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK && ++tries < kTries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      continue;
    }
    if (errno != EWOULDBLOCK) fail(path, "flock");
    std::ifstream stream(path);
    std::string holder;
    std::getline(stream, holder);
    throw InUseError(fmt::format("{}: the run directory is in use by process {}",
                                 path.parent_path().string(), holder.empty() ? "?" : holder));
  }
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0) fail(path, "ftruncate");
  if (::write(fd.get(), pid.data(), pid.size()) != static_cast<ssize_t>(pid.size()))
    fail(path, "write");
  return fd;
}

}  // namespace

std::optional<pid_t> holder_of(const std::filesystem::path& directory) {
  const auto path = directory / "lock";
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return std::nullopt;
  if (::flock(fd.get(), LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) return std::nullopt;
  std::ifstream stream(path);
  pid_t pid = 0;
  stream >> pid;
  return pid;
}

RunDirectory::RunDirectory(std::filesystem::path path) : path_(std::move(path)) {
  std::filesystem::create_directories(path_);
  lock_ = lock_file(path_ / "lock");
  attempt_ = latest_attempt();
}

std::filesystem::path RunDirectory::logs() const {
  return path_ / "logs" / fmt::format("attempt-{:04}", attempt_);
}

int RunDirectory::latest_attempt() const {
  constexpr std::string_view kPrefix = "attempt-";
  int latest = 0;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(path_ / "logs", none)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    int number = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
    latest = std::max(latest, number);
  }
  return latest;
}

void RunDirectory::begin_attempt() {
  ++attempt_;
  std::filesystem::create_directories(logs());
}

void RunDirectory::set_aside() {
  const auto aside = path_ / fmt::format("before-attempt-{:04}", attempt_ + 1);
  for (const auto& each : {checkpoints(), metrics()}) {
    if (!std::filesystem::exists(each)) continue;
    std::filesystem::create_directories(aside);
    std::filesystem::rename(each, aside / each.filename());
  }
}

void RunDirectory::write(const std::string& name, const std::string& text) const {
  const auto temporary = path_ / (name + ".tmp");
  std::ofstream stream(temporary, std::ios::binary);
  stream << text << std::flush;
  if (!stream) fail(temporary, "write");
  stream.close();
  std::filesystem::rename(temporary, path_ / name);
}

}  // namespace fulgur
