#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <system_error>
#include <vector>

namespace fulgur::test {

// Processes of which each runs `body(rank)` and then exits without running destructors of the
// parent: with 0, or with 1 and a line on stderr when the body throws. Fork before this process has
// threads.
class ForkedRanks {
 public:
  ForkedRanks(int size, const std::function<void(int rank)>& body) {
    for (int rank = 0; rank < size; ++rank) {
      const pid_t child = ::fork();
      if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
      if (child == 0) run(rank, body);
      children_.push_back(child);
    }
  }
  ForkedRanks(const ForkedRanks&) = delete;
  ForkedRanks& operator=(const ForkedRanks&) = delete;
  ~ForkedRanks() {
    for (std::size_t r = 0; r < children_.size(); ++r) {
      if (children_[r] == 0) continue;
      kill(static_cast<int>(r), SIGKILL);
      wait(static_cast<int>(r));
    }
  }

  void kill(int rank, int signal) const {
    ::kill(children_[static_cast<std::size_t>(rank)], signal);
  }

  // Waits for its end: its exit code, or -1 when a signal ended it.
  int wait(int rank) {
    auto& child = children_[static_cast<std::size_t>(rank)];
    int status = 0;
    ::waitpid(child, &status, 0);
    child = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  [[noreturn]] static void run(int rank, const std::function<void(int)>& body) {
    int code = 1;
    try {
      body(rank);
      code = 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
    }
    ::_exit(code);
  }

  std::vector<pid_t> children_;  // [size] 0: has been waited for
};

}  // namespace fulgur::test
