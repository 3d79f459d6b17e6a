// A worker for tests of the coordinator. FULGUR_FAKE_ROLES says what each rank does once it has its
// assignment: words separated by spaces, the first for rank 0.
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

#include "cluster/exit_codes.hpp"
#include "cluster/launch/child_process.hpp"
#include "cluster/wire/connection.hpp"

using namespace fulgur;
namespace asio = boost::asio;

namespace {

std::string read_all(int fd) {
  std::string text(4096, '\0');
  const auto count = ::read(fd, text.data(), text.size());
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

std::string role_of(int rank) {
  std::istringstream roles(std::getenv("FULGUR_FAKE_ROLES"));
  std::string role;
  for (int i = 0; i <= rank; ++i)
    roles >> role;
  return role;
}

[[noreturn]] void sleep_for_ever() {
  for (;;)
    ::pause();
}

class FakeWorker {
 public:
  FakeWorker(asio::io_context& io, int rank) : io_(io), rank_(rank), role_(role_of(rank)) {}

  asio::awaitable<void> work() {
    if (role_ == "absent") sleep_for_ever();
    secret_ = role_ == "stranger" ? std::string(32, 'x') : read_all(kSecretFd);
    try {
      connection_ = co_await join();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      std::exit(kExitAuthentication);
    }
    co_await connection_->receive();  // the assignment
    Heartbeat beat;
    beat.section = "step 7";
    beat.collective = "all_reduce #3 of group dp";
    connection_->send(beat);
    co_await play();
  }

 private:
  asio::awaitable<std::shared_ptr<Connection>> join() {
    asio::ip::tcp::socket socket(io_);
    const auto port = static_cast<std::uint16_t>(std::atoi(std::getenv("FULGUR_COORDINATOR_PORT")));
    co_await socket.async_connect({asio::ip::address_v4::loopback(), port}, asio::use_awaitable);
    const Session session{.run_id = std::getenv("FULGUR_RUN_ID"),
                          .attempt = std::atoi(std::getenv("FULGUR_ATTEMPT"))};
    auto keys = co_await introduce(socket, secret_, session, rank_);
    co_return std::make_shared<Connection>(std::move(socket), WireRole::kWorker, std::move(keys));
  }

  // Joins again under the same rank; the coordinator hangs up.
  asio::awaitable<void> join_again() {
    const auto second = co_await join();
    try {
      co_await second->receive();
      std::exit(98);
    } catch (const boost::system::system_error&) {
      // as it should be
    }
  }

  asio::awaitable<void> play() {
    if (role_ == "kill") {
      std::fprintf(stderr, "last words of rank %d\n", rank_);
      ::raise(SIGKILL);
    } else if (role_ == "exit3") {
      std::exit(3);
    } else if (role_ == "freeze") {
      ::raise(SIGSTOP);
    } else if (role_ == "hush") {
      sleep_for_ever();
    } else if (role_ == "hangup") {
      co_await connection_->drain();
      connection_->close();
      sleep_for_ever();
    } else if (role_ == "echo") {
      co_await leave(Failed{.kind = "comm", .message = "rank 1 was lost"}, 1);
    } else if (role_ == "data") {
      co_await leave(Failed{.kind = "data", .message = "/a.txt: is empty"}, kExitBadData);
    } else if (role_ == "set") {
      connection_->send(StoreSet{.key = "k", .value = "76"});
      co_await leave(Done{"complete"}, 0);
    } else if (role_ == "get") {
      connection_->send(StoreGet{.key = "k"});
      const auto value = co_await connection_->receive();
      connection_->send(Print{std::get<StoreValue>(value).value});
      co_await leave(Done{"complete"}, 0);
    } else if (role_ == "train") {
      connection_->send(StepDone{.step = 1, .tokens = 10, .loss = 0.1});
      co_await leave(Done{"complete"}, 0);
    } else if (role_ == "twice") {
      co_await join_again();
      co_await leave(Done{"complete"}, 0);
    } else if (role_ == "ask") {
      connection_->send(StopRequested{SIGUSR2});
      co_await wait_for_stop();
    } else if (role_ == "beat") {
      co_await wait_for_stop();
    } else {
      std::exit(99);
    }
  }

  // Lives on until it is told to stop (or, as the real worker, to exit).
  asio::awaitable<void> wait_for_stop() {
    asio::co_spawn(io_, beat(), asio::detached);
    const auto order = co_await connection_->receive();
    if (!std::holds_alternative<Stop>(order)) std::exit(1);
    co_await leave(Done{"stopped"}, 0);
  }

  asio::awaitable<void> beat() {
    asio::steady_timer timer(io_);
    for (;;) {
      connection_->send(Heartbeat{.section = "step 8", .collective = ""});
      timer.expires_after(std::chrono::milliseconds(20));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  asio::awaitable<void> leave(Message last, int code) {
    connection_->send(last);
    co_await connection_->drain();
    std::exit(code);
  }

  asio::io_context& io_;
  int rank_;
  std::string role_;
  std::string secret_;
  std::shared_ptr<Connection> connection_;
};

}  // namespace

int main() {
  try {
    asio::io_context io;
    FakeWorker worker(io, std::atoi(std::getenv("FULGUR_RANK")));
    asio::co_spawn(io, worker.work(), [](const std::exception_ptr&) { std::exit(1); });
    io.run();
  } catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    return 1;
  }
}
