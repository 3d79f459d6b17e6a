#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "cluster/launch/memory_group.hpp"

namespace fulgur {

// A process could not be started. The message names the program and the reason.
class LaunchError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The descriptor on which a child reads its secret, to the end of the file.
inline constexpr int kSecretFd = 3;

struct ProcessSpec {
  std::filesystem::path program;
  std::vector<std::string> arguments;              // behind the program's name
  std::map<std::string, std::string> environment;  // on top of this process's
  std::vector<int> cores;                          // it may run on; empty: those of this process
  std::filesystem::path output;                    // stdout goes here, appended; empty: inherited
  std::filesystem::path errors;                    // stderr likewise
  std::string secret;                              // to read on kSecretFd; at most 4096 bytes
  bool pipe_input = false;                         // stdin is ChildProcess::input(), else empty
  bool pipe_output = false;                        // stdout is read from ChildProcess::output()
  bool pipe_errors = false;                        // stderr is read from ChildProcess::errors()
};

// How a process ended.
struct ExitStatus {
  int code = 0;    // of exit(), when signal is 0
  int signal = 0;  // that killed it
  std::string reason =
      {};  // why the kernel sent it, as far as known: "for want of memory: limit 2.0 GiB"

  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};
// "exited with code 3", "was killed by signal 9 (SIGKILL)"
std::string to_string(const ExitStatus& status);

// A child in a process group of its own, which the kernel kills when the thread that started it ends:
// start children from a thread that lives as long as the program.
//
// No process of the group outlives this object, nor exited(). Not for use from several threads.
class ChildProcess {
 public:
  // Throws LaunchError.
  ChildProcess(const boost::asio::any_io_executor& executor, const ProcessSpec& spec);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();  // kills what still runs

  pid_t pid() const noexcept { return pid_; }

  // Waits until the child has ended, kills what is left of its group, and reaps it. Once.
  boost::asio::awaitable<ExitStatus> exited();

  // Sends a signal to the whole group; nothing happens when it is gone.
  void signal(int number) noexcept;

  // This end of the pipes that the specification asked for; closed otherwise.
  boost::asio::posix::stream_descriptor& input() noexcept { return input_; }
  boost::asio::posix::stream_descriptor& output() noexcept { return output_; }
  boost::asio::posix::stream_descriptor& errors() noexcept { return errors_; }

 private:
  ExitStatus reap();

  pid_t pid_ = -1;      // -1: reaped
  MemoryGroup memory_;  // when it was started
  boost::asio::posix::stream_descriptor pidfd_;
  boost::asio::posix::stream_descriptor input_;
  boost::asio::posix::stream_descriptor output_;
  boost::asio::posix::stream_descriptor errors_;
};

}  // namespace fulgur
