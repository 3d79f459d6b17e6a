#include "cluster/launch/child_process.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "tests/cluster/loopback.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace fulgur;
using namespace fulgur::test;

namespace {

ProcessSpec shell(const std::string& script) {
  ProcessSpec spec;
  spec.program = "/bin/sh";
  spec.arguments = {"-c", script};
  return spec;
}

ExitStatus run(const ProcessSpec& spec, int signal = 0) {
  asio::io_context io;
  ChildProcess child(io.get_executor(), spec);
  Result<ExitStatus> status;
  start(io, child.exited(), status);
  if (signal != 0) child.signal(signal);
  io.run_for(kGenerous);
  return status.get();
}

std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_SUITE("cluster/launch/child_process") {
  TEST_CASE("the exit code and the signal of a child are told apart") {
    CHECK(run(shell("exit 0")) == ExitStatus{.code = 0});
    CHECK(run(shell("exit 7")) == ExitStatus{.code = 7});
    CHECK(run(shell("kill -SEGV $$")) == ExitStatus{.code = 0, .signal = SIGSEGV});
    CHECK(run(shell("exec sleep 100"), SIGTERM) == ExitStatus{.code = 0, .signal = SIGTERM});
    CHECK(to_string({.code = 7}) == "exited with code 7");
    CHECK(to_string({.code = 0, .signal = SIGKILL}) == "was killed by signal 9 (SIGKILL)");
  }

  TEST_CASE("a program that cannot be started is named") {
    ProcessSpec spec;
    spec.program = "/no/such/program";
    asio::io_context io;
    CHECK_THROWS_WITH_AS(ChildProcess(io.get_executor(), spec),
                         "/no/such/program: execve: No such file or directory", LaunchError);
    spec = shell("true");
    spec.output = "/no/such/folder/log";
    CHECK_THROWS_WITH_AS(ChildProcess(io.get_executor(), spec),
                         doctest::Contains("/no/such/folder/log"), LaunchError);
  }

  TEST_CASE("output and errors go to their files, behind what is there") {
    const TemporaryDirectory folder;
    auto spec = shell("echo out; echo err >&2");
    spec.output = folder.path() / "out";
    spec.errors = folder.path() / "err";
    run(spec);
    run(spec);
    CHECK(contents(spec.output) == "out\nout\n");
    CHECK(contents(spec.errors) == "err\nerr\n");
  }

  TEST_CASE("the secret can be read on its descriptor and stands nowhere else") {
    const TemporaryDirectory folder;
    auto spec = shell("cat <&3; echo; grep -c hush /proc/$$/environ; ls /proc/$$/fd");
    spec.secret = "hush";
    spec.output = folder.path() / "out";
    spec.environment["ADDED"] = "1";
    run(spec);
    // In the list of descriptors: the three streams and the secret.
    CHECK(contents(spec.output) == "hush\n0\n0\n1\n2\n3\n");
  }

  TEST_CASE("the environment is this process's with the additions") {
    const TemporaryDirectory folder;
    ::setenv("FULGUR_TEST_KEPT", "kept", 1);
    ::setenv("FULGUR_TEST_CHANGED", "before", 1);
    auto spec = shell("echo $FULGUR_TEST_KEPT $FULGUR_TEST_CHANGED $FULGUR_TEST_NEW");
    spec.environment = {{"FULGUR_TEST_CHANGED", "after"}, {"FULGUR_TEST_NEW", "new"}};
    spec.output = folder.path() / "out";
    run(spec);
    CHECK(contents(spec.output) == "kept after new\n");
  }

  TEST_CASE("a child runs on the cores that it was given") {
    cpu_set_t mine;
    CPU_ZERO(&mine);
    REQUIRE(::sched_getaffinity(0, sizeof mine, &mine) == 0);
    int core = 0;
    while (!CPU_ISSET(static_cast<std::size_t>(core), &mine))
      ++core;
    const TemporaryDirectory folder;
    auto spec = shell("grep Cpus_allowed_list /proc/self/status");
    spec.cores = {core};
    spec.output = folder.path() / "out";
    run(spec);
    CHECK(contents(spec.output) == "Cpus_allowed_list:\t" + std::to_string(core) + "\n");
  }

  TEST_CASE("what a child leaves behind in its group is killed when it ends") {
    const TemporaryDirectory folder;
    // Whoever holds the write end keeps the pipe open.
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    auto spec = shell("sleep 100 & echo $!");
    spec.output = folder.path() / "out";
    run(spec);
    ::close(ends[0]);
    ::close(ends[1]);
    const pid_t left = std::stoi(contents(spec.output));
    int status = 0;
    REQUIRE(::waitpid(left, &status, 0) == left);  // it is ours now, and it has ended
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGKILL);
  }

  TEST_CASE("a child dies with the process that started it") {
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t parent = ::fork();
    if (parent == 0) {
      asio::io_context io;
      const ChildProcess child(io.get_executor(), shell("exec sleep 100"));
      const pid_t pid = child.pid();
      if (::write(ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
      for (;;)
        ::pause();
    }
    REQUIRE(parent > 0);
    pid_t grandchild = 0;
    REQUIRE(::read(ends[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    ::close(ends[0]);
    ::close(ends[1]);
    ::kill(parent, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(parent, &status, 0) == parent);
    REQUIRE(::waitpid(grandchild, &status, 0) == grandchild);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGKILL);
  }
}
