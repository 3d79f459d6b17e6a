#include "cluster/launch/agent.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>

#include "cluster/exit_codes.hpp"
#include "cluster/launch/agent_session.hpp"
#include "cluster/launch/local.hpp"
#include "cluster/launch/output_lines.hpp"
#include "cluster/wire/connection.hpp"
#include "cluster/wire/join_back_off.hpp"
#include "cluster/wire/wire_error.hpp"

namespace fulgur {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kJoinLimit{60};
constexpr std::chrono::seconds kLastWords{1};  // for output of processes that outlive their worker

class Agent {
 public:
  Agent(Invitation invitation, int lifeline)
      : invitation_(std::move(invitation)),
        signals_(io_, SIGTERM, SIGINT, SIGUSR2),
        lifeline_(io_) {
    signals_.add(SIGHUP);
    signals_.add(SIGUSR1);
    if (lifeline >= 0) lifeline_.assign(::dup(lifeline));
  }

  int run() {
    asio::co_spawn(io_, live(), asio::detached);
    asio::co_spawn(io_, watch_signals(), asio::detached);
    if (lifeline_.is_open()) asio::co_spawn(io_, watch_lifeline(), asio::detached);
    io_.run();
    workers_.clear();  // which ends them
    return exit_code_;
  }

 private:
  struct Worker {
    std::unique_ptr<ChildProcess> process;
    int open_streams = 2;
    std::unique_ptr<asio::steady_timer> drained;
  };

  void leave(int code, const std::string& reason) {
    if (code != kExitDone) fmt::print(stderr, "fulgur agent: {}\n", reason);
    exit_code_ = code;
    io_.stop();
  }

  asio::awaitable<void> live() {
    try {
      co_await join();
      for (;;)
        obey(co_await connection_->receive());
    } catch (const WireError& error) {
      const bool stranger = error.kind() == WireError::Kind::kAuthentication;
      leave(stranger ? kExitAuthentication : kExitUnavailable, error.what());
    } catch (const boost::system::system_error& error) {
      if (connection_)
        leave(kExitDone, "");  // the launcher is gone, and so is the reason to be here
      else
        leave(kExitUnavailable, fmt::format("no launcher at {}:{}: {}", invitation_.address,
                                            invitation_.port, error.code().message()));
    } catch (const std::exception& error) {
      leave(kExitFailed, error.what());
    }
  }

  // A pod may be there before its coordinator, and the launcher lets only so many in at a time.
  asio::awaitable<void> join() {
    JoinBackOff tries(kJoinLimit, static_cast<unsigned>(::getpid()));
    for (;;) {
      boost::system::error_code error;
      try {
        co_return co_await join_once();
      } catch (const boost::system::system_error& problem) {
        if (tries.is_over()) throw;
      }
      asio::steady_timer pause(io_, tries.next());
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }

  asio::awaitable<void> join_once() {
    asio::ip::tcp::resolver resolver(io_);
    asio::ip::tcp::socket socket(io_);
    const auto found = co_await resolver.async_resolve(
        invitation_.address, std::to_string(invitation_.port), asio::use_awaitable);
    co_await asio::async_connect(socket, found, asio::use_awaitable);
    address_ = socket.remote_endpoint().address().to_string();
    const auto session = agent_session(invitation_.run_id);
    auto keys = co_await introduce(socket, invitation_.secret, session, invitation_.node);
    connection_ =
        std::make_shared<Connection>(std::move(socket), WireRole::kWorker, std::move(keys));
    connection_->send(NodeReady{.host = node_name(), .pid = ::getpid()});
    if (signal_ != 0) connection_->send(StopRequested{signal_});
  }

  void obey(Message message) {
    if (const auto* start = std::get_if<StartWorkers>(&message)) {
      try {
        start_workers(*start);
      } catch (const std::exception& error) {
        connection_->send(Failed{.kind = std::string(failure::kOther), .message = error.what()});
      }
    } else if (const auto* order = std::get_if<SignalWorkers>(&message)) {
      for (auto& [rank, worker] : workers_) {
        if (order->rank < 0 || order->rank == rank)
          worker->process->signal(static_cast<int>(order->signal));
      }
    } else if (std::holds_alternative<Abort>(message)) {
      leave(kExitDone, "");
    } else {
      leave(kExitFailed, fmt::format("the launcher sent a {}", type_name(message)));
    }
  }

  void start_workers(const StartWorkers& order) {
    std::filesystem::current_path(order.directory);
    WorkerSet set;
    set.run_id = order.run_id;
    set.attempt = static_cast<int>(order.attempt);
    set.world = static_cast<int>(order.world);
    set.port = static_cast<std::uint16_t>(order.port);
    set.secret = invitation_.secret;
    set.environment = order.environment;
    const NodePart part{.node = static_cast<int>(order.node),
                        .nodes = static_cast<int>(order.nodes),
                        .first_rank = static_cast<int>(order.first_rank),
                        .ranks = static_cast<int>(order.ranks),
                        .address = address_};
    const auto program = find_worker_program();
    const auto cores = deal_cores(usable_cores(), part.ranks);
    for (int i = 0; i < part.ranks; ++i) {
      const int rank = part.first_rank + i;
      auto spec = worker_process(program, set, part, rank, cores[static_cast<std::size_t>(i)]);
      spec.pipe_output = spec.pipe_errors = true;
      start_worker(rank, spec);
    }
  }

  void start_worker(int rank, const ProcessSpec& spec) {
    auto worker = std::make_shared<Worker>();
    worker->process = std::make_unique<ChildProcess>(io_.get_executor(), spec);
    worker->drained =
        std::make_unique<asio::steady_timer>(io_, asio::steady_timer::time_point::max());
    workers_[rank] = worker;
    connection_->send(WorkerStarted{.rank = rank, .pid = worker->process->pid()});
    asio::co_spawn(io_, forward(rank, worker, false), asio::detached);
    asio::co_spawn(io_, forward(rank, worker, true), asio::detached);
    asio::co_spawn(io_, watch(rank, worker), asio::detached);
  }

  // Sends what a worker writes, in whole lines, as fast as the launcher takes them.
  asio::awaitable<void> forward(int rank, std::shared_ptr<Worker> worker, bool errors) {
    auto& stream = errors ? worker->process->errors() : worker->process->output();
    OutputLines lines;
    std::array<char, 8192> buffer{};
    for (;;) {
      boost::system::error_code ended;
      const auto count = co_await stream.async_read_some(
          asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, ended));
      const auto text = ended ? lines.rest() : lines.add({buffer.data(), count});
      if (!text.empty()) {
        connection_->send(WorkerOutput{.rank = rank, .errors = errors, .text = text});
        co_await connection_->drain();
      }
      if (ended) break;
    }
    if (--worker->open_streams == 0) worker->drained->cancel();
  }

  asio::awaitable<void> watch(int rank, std::shared_ptr<Worker> worker) {
    const auto status = co_await worker->process->exited();
    if (worker->open_streams > 0) {
      worker->drained->expires_after(kLastWords);
      boost::system::error_code cancelled;
      co_await worker->drained->async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    connection_->send(WorkerExited{
        .rank = rank, .code = status.code, .signal = status.signal, .reason = status.reason});
    const auto found = workers_.find(rank);
    if (found != workers_.end() && found->second == worker) workers_.erase(found);
  }

  asio::awaitable<void> watch_signals() {
    for (;;) {
      signal_ = co_await signals_.async_wait(asio::use_awaitable);
      if (connection_) connection_->send(StopRequested{signal_});
    }
  }

  asio::awaitable<void> watch_lifeline() {
    std::array<char, 64> ignored{};
    boost::system::error_code ended;
    while (!ended) {
      co_await lifeline_.async_read_some(asio::buffer(ignored),
                                         asio::redirect_error(asio::use_awaitable, ended));
    }
    leave(kExitDone, "");
  }

  Invitation invitation_;
  asio::io_context io_{1};
  asio::signal_set signals_;
  asio::posix::stream_descriptor lifeline_;
  std::shared_ptr<Connection> connection_;  // null: it has not joined yet
  std::string address_;                     // of the launcher, in digits
  std::map<int, std::shared_ptr<Worker>> workers_;
  int signal_ = 0;  // the latest; 0: none
  int exit_code_ = kExitDone;
};

}  // namespace

Session agent_session(const std::string& run_id) {
  return {.run_id = run_id + "/nodes", .attempt = 0};
}

std::string node_name() {
  if (const char* slurm = std::getenv("SLURMD_NODENAME"); slurm != nullptr) return slurm;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unnamed";
  return name.data();
}

int run_agent(const Invitation& invitation, int lifeline) {
  return Agent(invitation, lifeline).run();
}

}  // namespace fulgur
