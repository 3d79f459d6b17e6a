#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "cluster/wire/connection.hpp"
#include "worker/environment.hpp"
#include "worker/placement.hpp"

namespace fulgur {

// A worker's end of the control connection, on a thread of its own, so that signs of life go out and
// orders come in whatever the training threads do.
//
// When the connection ends before finish(), or the coordinator says so, the process exits at once with
// kExitFailed: nobody is left to work for, and the work may be inside a collective that never returns.
//
// SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 are told to the coordinator, which makes all ranks stop together.
class ControlClient {
 public:
  // `position` fills in where the rank stands among its peers (all but section and memory); called on the
  // client's thread.
  ControlClient(WorkerEnvironment environment, std::function<void(Heartbeat&)> position);
  ~ControlClient();
  ControlClient(const ControlClient&) = delete;
  ControlClient& operator=(const ControlClient&) = delete;

  // Connects, proves who it is, and waits until the coordinator says what to do. Throws WireError,
  // boost::system::system_error.
  Assignment join();

  LocalRank local() const noexcept {
    return {.rank = environment_.local_rank, .workers = environment_.local_world};
  }

  // From here on any thread may call.

  // Sends signs of life this often.
  void start_heartbeat(std::chrono::steady_clock::duration period);

  void send(Message message);
  void enter(const std::string& section);
  // Signs of life tell the most that was ever said here.
  void occupies(std::int64_t bytes);
  bool stop_requested() const noexcept { return stop_requested_.load(); }

  void set_value(std::string_view key, std::string_view value);
  // Nothing when the key is not set in time.
  std::optional<std::string> get_value(std::string_view key, std::chrono::milliseconds timeout);

  bool wait_for_commit(std::int64_t step);

  // Sends the last message, waits until it is out, and closes the connection. The worker exits next.
  void finish(Message last);

 private:
  boost::asio::awaitable<void> live();
  boost::asio::awaitable<void> beat(std::chrono::steady_clock::duration period);
  boost::asio::awaitable<void> watch_signals();
  boost::asio::awaitable<void> end(Message last, std::promise<void>& ended);
  boost::asio::awaitable<void> connect();
  boost::asio::awaitable<void> connect_once();
  void obey(Message message);
  void lose(const std::string& reason, std::exception_ptr error);
  void send_now(const Message& message);
  Heartbeat heartbeat();
  [[noreturn]] void leave(const std::string& reason) const;

  WorkerEnvironment environment_;
  std::function<void(Heartbeat&)> position_;
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_;
  boost::asio::steady_timer beat_timer_;
  std::shared_ptr<Connection> connection_;  // the client's thread only
  int signal_ = 0;                          // the latest; 0: none. The client's thread only
  bool finishing_ = false;                  // the client's thread only
  std::promise<Assignment> assignment_;
  bool assigned_ = false;  // the client's thread only
  std::atomic<bool> stop_requested_{false};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string, std::less<>> values_;  // guarded by mutex_
  std::map<std::int64_t, bool> commits_;                    // guarded by mutex_
  std::string section_ = "start";                           // guarded by mutex_
  std::int64_t memory_ = 0;                                 // guarded by mutex_

  std::jthread thread_;
};

}  // namespace fulgur
