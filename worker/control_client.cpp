#include "worker/control_client.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "cluster/exit_codes.hpp"
#include "cluster/wire/join_back_off.hpp"
#include "cluster/wire/text.hpp"

namespace fulgur {

namespace asio = boost::asio;

namespace {

// How long the last message may take to leave.
constexpr std::chrono::seconds kFarewell{10};
// How long a worker knocks at the coordinator's door.
constexpr std::chrono::seconds kJoinLimit{60};

}  // namespace

ControlClient::ControlClient(WorkerEnvironment environment,
                             std::function<void(Heartbeat&)> position)
    : environment_(std::move(environment)),
      position_(std::move(position)),
      signals_(io_, SIGTERM, SIGINT, SIGUSR2),
      beat_timer_(io_) {
  signals_.add(SIGUSR1);
}

ControlClient::~ControlClient() {
  io_.stop();
}

Assignment ControlClient::join() {
  asio::co_spawn(io_, live(), asio::detached);
  asio::co_spawn(io_, watch_signals(), asio::detached);
  thread_ = std::jthread([this] { io_.run(); });
  return assignment_.get_future().get();
}

asio::awaitable<void> ControlClient::connect() {
  JoinBackOff tries(kJoinLimit, static_cast<unsigned>(environment_.rank));
  for (;;) {
    try {
      co_return co_await connect_once();
    } catch (const boost::system::system_error&) {
      if (tries.is_over()) throw;
    }
    asio::steady_timer pause(io_, tries.next());
    co_await pause.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<void> ControlClient::connect_once() {
  asio::ip::tcp::socket socket(io_);
  const asio::ip::tcp::endpoint coordinator(asio::ip::make_address(environment_.address),
                                            environment_.port);
  co_await socket.async_connect(coordinator, asio::use_awaitable);
  // A name of its own: GCC 12 destroys a temporary aggregate inside of co_await twice.
  const Session session{.run_id = environment_.run_id, .attempt = environment_.attempt};
  auto keys = co_await introduce(socket, environment_.secret, session, environment_.rank);
  connection_ = std::make_shared<Connection>(std::move(socket), WireRole::kWorker, std::move(keys));
  if (signal_ != 0) send_now(StopRequested{signal_});
}

asio::awaitable<void> ControlClient::live() {
  try {
    co_await connect();
    for (;;) {
      auto message = co_await connection_->receive();
      obey(std::move(message));
    }
  } catch (const boost::system::system_error& error) {
    const auto reason = error.code().message();
    lose(reason, std::make_exception_ptr(std::runtime_error("control connection: " + reason)));
  } catch (const std::exception& error) {
    lose(error.what(), std::current_exception());
  }
}

void ControlClient::lose(const std::string& reason, std::exception_ptr error) {
  if (finishing_) return;
  if (assigned_) leave(fmt::format("the coordinator is gone: {}", reason));
  assignment_.set_exception(std::move(error));
}

void ControlClient::obey(Message message) {
  if (auto* assignment = std::get_if<Assignment>(&message)) {
    if (assigned_) leave("the coordinator gave a second assignment");
    assigned_ = true;
    assignment_.set_value(std::move(*assignment));
  } else if (auto* value = std::get_if<StoreValue>(&message)) {
    const std::lock_guard lock(mutex_);
    values_[value->key] = from_hex(value->value);
    changed_.notify_all();
  } else if (const auto* committed = std::get_if<Committed>(&message)) {
    const std::lock_guard lock(mutex_);
    commits_[committed->step] = committed->ok;
    changed_.notify_all();
  } else if (std::holds_alternative<Stop>(message)) {
    stop_requested_ = true;
  } else if (const auto* abort = std::get_if<Abort>(&message)) {
    leave("told to exit: " + abort->reason);
  } else {
    leave(fmt::format("the coordinator sent a {}", type_name(message)));
  }
}

void ControlClient::leave(const std::string& reason) const {
  const auto line = fmt::format("fulgur-worker: rank {}: {}\n", environment_.rank, reason);
  std::fputs(line.c_str(), stderr);
  std::fflush(nullptr);
  std::_Exit(kExitFailed);
}

asio::awaitable<void> ControlClient::watch_signals() {
  for (;;) {
    signal_ = co_await signals_.async_wait(asio::use_awaitable);
    if (connection_) send_now(StopRequested{signal_});
  }
}

void ControlClient::start_heartbeat(std::chrono::steady_clock::duration period) {
  asio::co_spawn(io_, beat(period), asio::detached);
}

asio::awaitable<void> ControlClient::beat(std::chrono::steady_clock::duration period) {
  for (;;) {
    send_now(heartbeat());
    beat_timer_.expires_after(period);
    co_await beat_timer_.async_wait(asio::use_awaitable);
  }
}

Heartbeat ControlClient::heartbeat() {
  Heartbeat beat;
  position_(beat);
  const std::lock_guard lock(mutex_);
  beat.section = section_;
  beat.memory = memory_;
  return beat;
}

void ControlClient::send_now(const Message& message) {
  try {
    connection_->send(message);
  } catch (const std::invalid_argument& error) {
    leave(error.what());
  }
}

void ControlClient::send(Message message) {
  asio::post(io_, [this, message = std::move(message)] { send_now(message); });
}

void ControlClient::enter(const std::string& section) {
  {
    const std::lock_guard lock(mutex_);
    section_ = section;
  }
  asio::post(io_, [this] { send_now(heartbeat()); });
}

void ControlClient::occupies(std::int64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    if (bytes <= memory_) return;
    memory_ = bytes;
  }
  asio::post(io_, [this] { send_now(heartbeat()); });
}

void ControlClient::set_value(std::string_view key, std::string_view value) {
  send(StoreSet{.key = std::string(key), .value = to_hex(value)});
}

std::optional<std::string> ControlClient::get_value(std::string_view key,
                                                    std::chrono::milliseconds timeout) {
  send(StoreGet{.key = std::string(key)});
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, timeout, [&] { return values_.contains(key); })) return std::nullopt;
  return values_.find(key)->second;
}

bool ControlClient::wait_for_commit(std::int64_t step) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return commits_.contains(step); });
  return commits_.at(step);
}

void ControlClient::finish(Message last) {
  std::promise<void> ended;
  asio::co_spawn(io_, end(std::move(last), ended), asio::detached);
  ended.get_future().wait_for(kFarewell);
  io_.stop();
  thread_.join();
}

asio::awaitable<void> ControlClient::end(Message last, std::promise<void>& ended) {
  finishing_ = true;
  send_now(last);
  co_await connection_->drain();
  connection_->close();
  ended.set_value();
}

}  // namespace fulgur
