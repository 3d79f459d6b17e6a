#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "cluster/launch/child_process.hpp"

namespace fulgur {

// The workers of one attempt: ranks 0 to world - 1.
struct WorkerSet {
  std::string run_id;
  int attempt = 1;
  int world = 1;
  std::uint16_t port = 0;  // of the coordinator, at the launcher's address
  std::string secret;
  std::filesystem::path logs;  // folder for rank-00000.out and .err; empty: this program's streams
  std::vector<std::string>
      environment;  // "NAME=value", on top of what else they have; the launcher's
};

// <logs>/rank-00003.err
std::filesystem::path log_file(const std::filesystem::path& logs, int rank, const char* suffix);

// A worker that was started.
struct WorkerFacts {
  pid_t pid = -1;                // on its node
  std::string node;              // empty: this host
  std::filesystem::path errors;  // its stderr; empty: inherited
};

// What a launcher tells while workers run, on its executor's thread. All must be set.
struct LaunchEvents {
  std::function<void(int rank, const WorkerFacts& facts)> started;
  // The process has ended, or, with a text in `lost`, so has the way to its node: the worker is dead, or
  // ends by itself because it cannot reach the coordinator. Once for every rank.
  std::function<void(int rank, const ExitStatus& status, const std::string& lost)> exited;
  // A signal that asks for a stop reached a node, as a scheduler sends it.
  std::function<void(int signal)> stop_asked;
  // What a log should say.
  std::function<void(const std::string& text)> note;
};

// Starts the workers of a run where they belong, tells how they end, and passes signals on to them.
//
// start() may be called again when exited() was told of every rank: the next attempt, on the same
// nodes. All calls come from the thread of the launcher's executor; no process that a launcher started on
// this host outlives it.
class Launcher {
 public:
  Launcher() = default;
  virtual ~Launcher() = default;
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  // Where the coordinator must listen for workers to reach it.
  virtual boost::asio::ip::address listen_address() const = 0;

  // Throws LaunchError when that fails at once; what fails later is told by exited().
  virtual void start(const WorkerSet& workers, LaunchEvents events) = 0;

  // To the worker of a rank and all that it started; nothing happens when it is gone. SIGKILL is sure:
  // exited() follows within seconds, whatever has happened to the node.
  virtual void signal(int rank, int number) = 0;
  virtual void signal_all(int number) = 0;

  // Takes leave of the nodes, when no worker is left. Seconds at most.
  virtual boost::asio::awaitable<void> close() = 0;
};

using LauncherFactory =
    std::function<std::unique_ptr<Launcher>(const boost::asio::any_io_executor&)>;

}  // namespace fulgur
