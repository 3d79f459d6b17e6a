#include <doctest/doctest.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>

#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

constexpr int kRefusedExit = 4;  // the exit code of an action that ended in CheckpointError

// A child process that is about to do `action` and stops at every system call.
pid_t begin_traced(const std::function<void()>& action) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(2);
    ::raise(SIGSTOP);
    try {
      action();
    } catch (const CheckpointError&) {
      ::_exit(kRefusedExit);
    } catch (...) {
      ::_exit(3);
    }
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE_MESSAGE(WIFSTOPPED(status), "this machine does not allow ptrace");
  return child;
}

// Runs `action` in a child process that is killed with SIGKILL as it enters or leaves its n-th system
// call. False when it ended before that.
bool run_until_system_call(int n, const std::function<void()>& action) {
  const pid_t child = begin_traced(action);
  int status = 0;
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

// What came of an action in a child process of which one system call failed.
enum class Outcome { kDone, kRefused, kNoSuchCall };

// The calls that can fail for the disk's sake.
bool is_file_call(long number) {
  constexpr long kCalls[] = {SYS_openat, SYS_write,     SYS_pwrite64,  SYS_pwritev,  SYS_fsync,
                             SYS_rename, SYS_renameat2, SYS_fallocate, SYS_mkdirat,  SYS_mkdir,
                             SYS_close,  SYS_ftruncate, SYS_fdatasync, SYS_renameat, SYS_unlink};
  return std::find(std::begin(kCalls), std::end(kCalls), number) != std::end(kCalls);
}

void go_on(pid_t child, int& status) {
  REQUIRE(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0);
  REQUIRE(::waitpid(child, &status, 0) == child);
}

// The n-th such call is not made, and ends in `error`.
Outcome run_with_failing_call(int n, int error, const std::function<void()>& action) {
  const pid_t child = begin_traced(action);
  int status = 0, calls = 0;
  for (;;) {
    go_on(child, status);  // enters a call
    if (!WIFSTOPPED(status)) break;
    user_regs_struct registers{};
    REQUIRE(::ptrace(PTRACE_GETREGS, child, nullptr, &registers) == 0);
    const bool fails = is_file_call(static_cast<long>(registers.orig_rax)) && ++calls == n;
    if (fails) {
      registers.orig_rax = static_cast<unsigned long long>(-1);  // no call at all
      REQUIRE(::ptrace(PTRACE_SETREGS, child, nullptr, &registers) == 0);
    }
    go_on(child, status);  // leaves it
    if (!WIFSTOPPED(status)) break;
    if (fails) {
      REQUIRE(::ptrace(PTRACE_GETREGS, child, nullptr, &registers) == 0);
      registers.rax = static_cast<unsigned long long>(-error);
      REQUIRE(::ptrace(PTRACE_SETREGS, child, nullptr, &registers) == 0);
    }
  }
  REQUIRE_MESSAGE(WIFEXITED(status), "signal ", WTERMSIG(status));
  REQUIRE((WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == kRefusedExit));
  if (calls < n) return Outcome::kNoSuchCall;
  return WEXITSTATUS(status) == 0 ? Outcome::kDone : Outcome::kRefused;
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

  TEST_CASE(
      "whichever call of a save fails, the old checkpoint is whole, or the new one is there") {
    int refused = 0, done = 0;
    const int errors[] = {EIO, ENOSPC, EDQUOT};
    for (int n = 1;; ++n) {
      CAPTURE(n);
      const test::TemporaryDirectory root;
      test::save(root.path(), 1, 1);
      const auto outcome =
          run_with_failing_call(n, errors[n % 3], [&] { test::save(root.path(), 2, 2, 1); });
      const auto step = step_found(root.path());
      if (outcome != Outcome::kRefused) CHECK(step == 2);
      if (outcome == Outcome::kNoSuchCall) break;
      ++(outcome == Outcome::kRefused ? refused : done);
      remove_leftovers(root.path());
      CHECK(step_found(root.path()) == step);
      test::save(root.path(), 3, 2, 1);  // the next one finds nothing in its way
      CHECK(step_found(root.path()) == 3);
    }
    CHECK(refused > 25);
    CHECK(done > 0);  // as when the old one cannot be removed
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
