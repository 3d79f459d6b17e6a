#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "tests/support/temporary_directory.hpp"

extern "C" char** environ;  // NOLINT(readability-redundant-declaration): POSIX asks for it

namespace fulgur::test {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// How a program ended, and what it wrote.
struct Outcome {
  int exit_code = -1;  // -1: a signal ended it
  int signal = 0;
  std::string output, errors;
};

// A program with its arguments as a child of this process: input is empty, output and errors go to files.
// Whatever happens, the child is gone when this object is.
class Program {
 public:
  // `command[0]` is looked up in PATH unless it has a slash. The environment is that of this process
  // with the values of `environment` on top.
  Program(std::vector<std::string> command, const std::filesystem::path& directory,
          const std::map<std::string, std::string>& environment = {})
      : name_(command.front()) {
    auto variables = merged(environment);
    Actions actions;
    actions.open(STDIN_FILENO, "/dev/null", O_RDONLY);
    actions.open(STDOUT_FILENO, streams_.path() / "output", O_WRONLY | O_CREAT);
    actions.open(STDERR_FILENO, streams_.path() / "errors", O_WRONLY | O_CREAT);
    actions.change_directory(directory);
    require(::posix_spawnp(&pid_, name_.c_str(), actions.get(), nullptr, pointers(command).data(),
                           pointers(variables).data()),
            "posix_spawnp");
    running_ = true;
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (!running_) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const noexcept { return pid_; }

  // What it has written so far.
  std::string output() const { return read_text(streams_.path() / "output"); }
  std::string errors() const { return read_text(streams_.path() / "errors"); }

  void signal(int number) const {
    if (running_) ::kill(pid_, number);
  }

  // Whether it has not ended yet.
  bool runs() { return running_ && !has_ended(std::chrono::milliseconds(0)); }

  // Waits for its end, once. Throws std::runtime_error, and kills it, when that takes too long.
  Outcome wait(std::chrono::milliseconds deadline = std::chrono::seconds(60)) {
    const bool ended = has_ended(deadline);
    if (!ended) ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    running_ = false;
    if (!ended)
      throw std::runtime_error(name_ + " did not end in time; it wrote:\n" + output() + errors());
    Outcome outcome{.output = output(), .errors = errors()};
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    return outcome;
  }

 private:
  void require(int error, const char* call) const {
    if (error != 0) throw std::system_error(error, std::generic_category(), name_ + ": " + call);
  }

  // What the child does between its birth and the program.
  class Actions {
   public:
    Actions() { ::posix_spawn_file_actions_init(&actions_); }
    Actions(const Actions&) = delete;
    Actions& operator=(const Actions&) = delete;
    ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }

    void open(int fd, const std::filesystem::path& path, int flags) {
      ::posix_spawn_file_actions_addopen(&actions_, fd, path.c_str(), flags, 0600);
    }
    void change_directory(const std::filesystem::path& path) {
      ::posix_spawn_file_actions_addchdir_np(&actions_, path.c_str());
    }
    const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

   private:
    posix_spawn_file_actions_t actions_{};
  };

  static std::vector<std::string> merged(const std::map<std::string, std::string>& added) {
    std::vector<std::string> all;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string text = *entry;
      if (!added.contains(text.substr(0, text.find('=')))) all.push_back(text);
    }
    for (const auto& [name, value] : added)
      all.push_back(name + "=" + value);
    return all;
  }

  static std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (auto& text : texts)
      all.push_back(text.data());
    all.push_back(nullptr);
    return all;
  }

  bool has_ended(std::chrono::milliseconds deadline) const {
    // glibc 2.36 declares pidfd_open() without C linkage.
    const auto handle = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (handle < 0) throw std::system_error(errno, std::generic_category(), "pidfd_open");
    pollfd waiting{.fd = handle, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(deadline.count()));
    ::close(handle);
    return ready == 1;
  }

  TemporaryDirectory streams_;
  std::string name_;
  pid_t pid_ = -1;
  bool running_ = false;
};

}  // namespace fulgur::test
