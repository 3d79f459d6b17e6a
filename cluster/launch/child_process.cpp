#include "cluster/launch/child_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <system_error>

#include "cluster/launch/unique_fd.hpp"

extern "C" char** environ;  // NOLINT(readability-redundant-declaration): POSIX asks for it

namespace fulgur {
namespace {

namespace asio = boost::asio;

[[noreturn]] void fail(const std::filesystem::path& program, const std::string& what, int error) {
  throw LaunchError(
      fmt::format("{}: {}: {}", program.string(), what, std::generic_category().message(error)));
}

// A descriptor well above those that the child gets by number, so that giving it one of them closes
// none that is still needed.
UniqueFd move_up(UniqueFd fd, const ProcessSpec& spec) {
  constexpr int kAbove = 16;
  UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kAbove));
  if (moved.get() < 0) fail(spec.program, "fcntl", errno);
  return moved;
}

struct Pipe {
  UniqueFd read, write;
};
Pipe make_pipe(const ProcessSpec& spec) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail(spec.program, "pipe2", errno);
  UniqueFd read(ends[0]);
  UniqueFd write(ends[1]);
  return {move_up(std::move(read), spec), move_up(std::move(write), spec)};
}

Pipe make_pipe_if(bool wanted, const ProcessSpec& spec) {
  return wanted ? make_pipe(spec) : Pipe{};
}

UniqueFd open_log(const std::filesystem::path& path, const ProcessSpec& spec) {
  if (path.empty()) return {};
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (fd.get() < 0) fail(spec.program, "cannot open " + path.string(), errno);
  return move_up(std::move(fd), spec);
}

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!added.contains(std::string(text.substr(0, text.find('='))))) merged.emplace_back(text);
  }
  for (const auto& [name, value] : added)
    merged.push_back(fmt::format("{}={}", name, value));
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (auto& text : texts)
    all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

// What the child needs between fork and exec, where only system calls are allowed: everything is
// prepared before.
struct Prepared {
  explicit Prepared(const ProcessSpec& spec)
      : program(spec.program.string()),
        arguments(spec.arguments),
        environment(merged_environment(spec.environment)),
        output(open_log(spec.output, spec)),
        errors(open_log(spec.errors, spec)),
        null(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
        secret(make_pipe(spec)),
        failure(make_pipe(spec)),
        input_pipe(make_pipe_if(spec.pipe_input, spec)),
        output_pipe(make_pipe_if(spec.pipe_output, spec)),
        errors_pipe(make_pipe_if(spec.pipe_errors, spec)),
        parent(::getpid()) {
    arguments.insert(arguments.begin(), program);
    argv = pointers(arguments);
    envp = pointers(environment);
    CPU_ZERO(&cores);
    for (const int core : spec.cores)
      CPU_SET(static_cast<std::size_t>(core), &cores);
    pin = !spec.cores.empty();
    // A pipe holds at least a page, so that this does not wait for the child.
    if (spec.secret.size() > 4096) throw std::invalid_argument("ProcessSpec: secret too long");
    const auto written = ::write(secret.write.get(), spec.secret.data(), spec.secret.size());
    if (written != static_cast<ssize_t>(spec.secret.size()))
      fail(spec.program, "write the secret", errno);
    secret.write.reset();
    if (spec.pipe_input) null = std::move(input_pipe.read);
    if (spec.pipe_output) output = std::move(output_pipe.write);
    if (spec.pipe_errors) errors = std::move(errors_pipe.write);
  }

  std::string program;
  std::vector<std::string> arguments, environment;
  std::vector<char*> argv, envp;
  UniqueFd output, errors, null;  // the child's streams; null is its stdin
  Pipe secret, failure;
  Pipe input_pipe, output_pipe, errors_pipe;
  pid_t parent;
  cpu_set_t cores{};
  bool pin = false;
};

// What a child says on Prepared::failure before it gives up.
struct Failure {
  int error = 0;
  std::array<char, 32> call{};
};

[[noreturn]] void give_up(const Prepared& prepared, const char* call) {
  Failure failure;
  failure.error = errno;
  for (std::size_t i = 0; call[i] != '\0' && i + 1 < failure.call.size(); ++i)
    failure.call[i] = call[i];
  // If even this fails, the parent sees an exit code of 127.
  [[maybe_unused]] const auto written =
      ::write(prepared.failure.write.get(), &failure, sizeof failure);
  ::_exit(127);
}

void reset_signals() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number)
    ::sigaction(number, &standard, nullptr);  // fails for SIGKILL and SIGSTOP, as it should
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become(const Prepared& prepared) {
  if (::setpgid(0, 0) != 0) give_up(prepared, "setpgid");
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(prepared, "prctl");
  if (::getppid() != prepared.parent) ::_exit(127);  // it died before prctl
  if (prepared.pin && ::sched_setaffinity(0, sizeof prepared.cores, &prepared.cores) != 0)
    give_up(prepared, "sched_setaffinity");
  if (::dup2(prepared.null.get(), STDIN_FILENO) < 0) give_up(prepared, "dup2 stdin");
  if (prepared.output.get() >= 0 && ::dup2(prepared.output.get(), STDOUT_FILENO) < 0)
    give_up(prepared, "dup2 stdout");
  if (prepared.errors.get() >= 0 && ::dup2(prepared.errors.get(), STDERR_FILENO) < 0)
    give_up(prepared, "dup2 stderr");
  if (::dup2(prepared.secret.read.get(), kSecretFd) < 0) give_up(prepared, "dup2 secret");
  if (::close_range(kSecretFd + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0) give_up(prepared, "close_range");
  reset_signals();
  ::execve(prepared.program.c_str(), prepared.argv.data(), prepared.envp.data());
  give_up(prepared, "execve");
}

// Forks with all signals blocked, so that no handler of this process runs in the child.
pid_t fork_and_exec(const Prepared& prepared) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  const int error = errno;
  if (pid == 0) become(prepared);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

std::optional<Failure> read_failure(Prepared& prepared) {
  prepared.failure.write.reset();
  Failure failure;
  ssize_t count = 0;
  do {
    count = ::read(prepared.failure.read.get(), &failure, sizeof failure);
  } while (count < 0 && errno == EINTR);
  if (count == sizeof failure) return failure;
  return std::nullopt;  // closed by exec
}

}  // namespace

std::string to_string(const ExitStatus& status) {
  if (status.signal == 0) return fmt::format("exited with code {}", status.code);
  const char* name = ::sigabbrev_np(status.signal);
  return fmt::format("was killed by signal {} (SIG{}){}{}", status.signal,
                     name == nullptr ? "?" : name, status.reason.empty() ? "" : " ", status.reason);
}

ChildProcess::ChildProcess(const asio::any_io_executor& executor, const ProcessSpec& spec)
    : pidfd_(executor), input_(executor), output_(executor), errors_(executor) {
  memory_ = read_memory_group();
  Prepared prepared(spec);
  pid_ = fork_and_exec(prepared);
  if (pid_ < 0) fail(spec.program, "fork", errno);
  if (const auto failure = read_failure(prepared)) {
    reap();
    fail(spec.program, failure->call.data(), failure->error);
  }
  const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd < 0) {
    const int error = errno;
    signal(SIGKILL);
    reap();
    fail(spec.program, "pidfd_open", error);
  }
  pidfd_.assign(pidfd);
  if (spec.pipe_input) input_.assign(prepared.input_pipe.write.release());
  if (spec.pipe_output) output_.assign(prepared.output_pipe.read.release());
  if (spec.pipe_errors) errors_.assign(prepared.errors_pipe.read.release());
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  signal(SIGKILL);
  reap();
}

asio::awaitable<ExitStatus> ChildProcess::exited() {
  co_await pidfd_.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
  signal(SIGKILL);  // the leader has ended; its own children must not stay behind
  auto status = reap();
  if (status.signal == SIGKILL) status.reason = out_of_memory(memory_, read_memory_group());
  co_return status;
}

void ChildProcess::signal(int number) noexcept {
  if (pid_ > 0) ::kill(-pid_, number);
}

ExitStatus ChildProcess::reap() {
  int status = 0;
  pid_t reaped = 0;
  do {
    reaped = ::waitpid(pid_, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  pid_ = -1;
  if (WIFSIGNALED(status)) return {.code = 0, .signal = WTERMSIG(status)};
  return {.code = WEXITSTATUS(status), .signal = 0};
}

}  // namespace fulgur
