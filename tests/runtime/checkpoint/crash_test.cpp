#include <doctest/doctest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

// Runs `action` in a child process that is killed with SIGKILL as it enters or leaves its n-th system
// call. False when it ended before that.
bool run_until_system_call(int n, const std::function<void()>& action) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(2);
    ::raise(SIGSTOP);
    try {
      action();
    } catch (...) {
      ::_exit(3);
    }
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE_MESSAGE(WIFSTOPPED(status), "this machine does not allow ptrace");
  for (int stops = 0; stops < n; ++stops) {
    REQUIRE(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0);
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFSTOPPED(status)) continue;
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 0);
    return false;
  }
  REQUIRE(::kill(child, SIGKILL) == 0);
  REQUIRE(::waitpid(child, &status, 0) == child);
  return true;
}

// The step that a resume would find; its values are those that were saved.
std::int64_t step_found(const fs::path& root) {
  std::vector<std::string> skipped;
  const auto newest = newest_valid_checkpoint(root, skipped);
  REQUIRE(newest);
  REQUIRE(skipped.empty());
  REQUIRE(test::holds(newest->path, newest->step));
  return newest->step;
}

}  // namespace

TEST_SUITE("runtime/checkpoint/crash") {
  TEST_CASE("killed at any system call of a save, the old or the new checkpoint is found, whole") {
    int old_ones = 0, new_ones = 0;
    bool killed = true;
    for (int n = 1; killed; ++n) {
      CAPTURE(n);
      const test::TemporaryDirectory root;
      test::save(root.path(), 1, 1);
      killed = run_until_system_call(n, [&] { test::save(root.path(), 2, 2, 1); });
      const auto step = step_found(root.path());
      ++(step == 1 ? old_ones : new_ones);
      if (!killed) CHECK(step == 2);
      remove_leftovers(root.path());
      CHECK(step_found(root.path()) == step);
      if (n % 16 != 0) continue;
      test::save(root.path(), 2, 3, 1);
      CHECK(step_found(root.path()) == 2);
    }
    CHECK(old_ones > 50);
    CHECK(new_ones > 5);
  }

  TEST_CASE("killed at any system call of a replacement, the step is never lost") {
    bool killed = true;
    const test::TemporaryDirectory root;
    test::save(root.path(), 1, 1);
    for (int n = 1; killed; n += 3) {
      CAPTURE(n);
      killed = run_until_system_call(n, [&] { test::save(root.path(), 1, 2, 1); });
      CHECK(step_found(root.path()) == 1);
      remove_leftovers(root.path());
    }
  }
}

}  // namespace fulgur
