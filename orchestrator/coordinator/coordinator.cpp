#include "orchestrator/coordinator/coordinator.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <exception>
#include <map>
#include <utility>

#include "cluster/wire/connection.hpp"
#include "cluster/wire/deadline.hpp"
#include "cluster/wire/secret.hpp"
#include "orchestrator/coordinator/shard_collector.hpp"
#include "orchestrator/coordinator/store_table.hpp"
#include "recipes/job_json.hpp"
#include "recipes/phases.hpp"
#include "runtime/checkpoint/shard_notes.hpp"
#include "runtime/checkpoint/writer.hpp"

namespace fulgur {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kGrace{5};  // between the request to end and SIGKILL
constexpr int kMaxStrangers = 64;          // connections that have not proved anything yet
constexpr std::chrono::milliseconds kTick{50};

class Coordinator {
 public:
  Coordinator(const CoordinatorSetup& setup, const CoordinatorHooks& hooks)
      : setup_(setup),
        hooks_(hooks),
        session_{.run_id = setup.run_id, .attempt = setup.attempt},
        secret_(setup.secret.empty() ? random_bytes(kSecretBytes) : setup.secret),
        launcher_(setup.launcher(io_.get_executor())),
        acceptor_(io_, {launcher_->listen_address(), 0}),
        signals_(io_, SIGINT, SIGTERM, SIGUSR2),
        tick_(io_),
        grace_(io_),
        stop_timer_(io_),
        state_(initial_state(setup.world, Clock::now(), setup.attempt, setup.from)),
        shards_(setup.world),
        workers_(static_cast<std::size_t>(setup.world)),
        connections_(static_cast<std::size_t>(setup.world)) {
    signals_.add(SIGHUP);
    signals_.add(SIGUSR1);
  }

  RunResult run() {
    launcher_->start(worker_set(), launch_events());
    if (setup_.stop_at) asio::co_spawn(io_, stop_in_time(*setup_.stop_at), asio::detached);
    asio::co_spawn(io_, accept_workers(), asio::detached);
    asio::co_spawn(io_, watch_signals(), asio::detached);
    asio::co_spawn(io_, tick(), asio::detached);
    io_.run();
    committer_.join();
    if (error_) std::rethrow_exception(error_);
    return {.exit_code = exit_code(state_), .state = std::move(state_), .workers = workers_};
  }

 private:
  using Clock = std::chrono::steady_clock;

  WorkerSet worker_set() const {
    WorkerSet set;
    set.run_id = setup_.run_id;
    set.attempt = setup_.attempt;
    set.world = setup_.world;
    set.port = acceptor_.local_endpoint().port();
    set.secret = secret_;
    set.logs = setup_.logs;
    return set;
  }

  LaunchEvents launch_events() {
    LaunchEvents events;
    events.started = [this](int rank, const WorkerFacts& facts) {
      workers_[static_cast<std::size_t>(rank)] = facts;
      if (++num_started_ == setup_.world)
        tell(hooks_.started, acceptor_.local_endpoint().port(), workers_);
    };
    events.exited = [this](int rank, const ExitStatus& status, const std::string& lost) {
      tell(hooks_.note,
           fmt::format("rank {} {}", rank, lost.empty() ? to_string(status) : "is lost: " + lost));
      happened(event::Exited{rank, status, lost});
      // A node that is cut off leaves a connection that nobody will close.
      auto& connection = connections_[static_cast<std::size_t>(rank)];
      if (!lost.empty() && connection) connection->close();
    };
    events.stop_asked = [this](int number) { ask_to_stop(number); };
    events.note = [this](const std::string& text) { tell(hooks_.note, text); };
    return events;
  }

  void ask_to_stop(int number) {
    if (!state_.stop_requested) tell(hooks_.stopping, number);
    happened(event::StopAsked{});
  }

  asio::awaitable<void> stop_in_time(TimePoint when) {
    stop_timer_.expires_at(when);
    boost::system::error_code cancelled;
    co_await stop_timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    if (!cancelled) ask_to_stop(0);
  }

  // Runs a hook. When it throws, the run is over: the first exception is thrown by run().
  template <class Hook, class... Arguments>
  void tell(const Hook& hook, const Arguments&... arguments) {
    if (!hook) return;
    try {
      hook(arguments...);
    } catch (...) {
      if (error_) return;
      error_ = std::current_exception();
      abort_all();
    }
  }

  void happened(const Event& event) {
    auto decision = decide(std::move(state_), event, Clock::now(), setup_.limits);
    state_ = std::move(decision.state);
    for (const auto& action : decision.actions)
      perform(action);
  }

  void perform(const Action& action) {
    switch (action.kind) {
      case Action::Kind::kAssign:
        return assign_all();
      case Action::Kind::kStop:
        return send_all(Stop{});
      case Action::Kind::kAbort:
        tell(hooks_.note, "ending all workers: " + action.reason);
        return abort_all();
      case Action::Kind::kEnd:
        return end();
      case Action::Kind::kRefuse:
        return tell(hooks_.note, action.reason);
      case Action::Kind::kCommit:
        return start_commit(action.step);
      case Action::Kind::kDrop:
        return drop(action.step, action.reason);
      case Action::Kind::kStraggler:
        return tell(hooks_.straggler, action.rank, action.reason);
    }
  }

  void assign_all() {
    Assignment assignment;
    assignment.task = setup_.task;
    assignment.world = setup_.world;
    assignment.attempt = setup_.attempt;
    assignment.job = to_json(setup_.job);
    assignment.checkpoint = setup_.checkpoint.string();
    assignment.source = setup_.source.string();
    assignment.destination = setup_.destination.string();
    for (int rank = 0; rank < setup_.world; ++rank) {
      assignment.rank = rank;
      send(rank, assignment);
    }
    tell(hooks_.note, fmt::format("all {} workers joined", setup_.world));
  }

  void send(int rank, const Message& message) {
    if (const auto& connection = connections_[static_cast<std::size_t>(rank)])
      connection->send(message);
  }
  void send_all(const Message& message) {
    for (int rank = 0; rank < setup_.world; ++rank)
      send(rank, message);
  }

  // A worker exits when it is told to; one that cannot hear any more is killed, in the end.
  void abort_all() {
    const auto& cause = state_.cause;
    const bool at_once = cause && cause->kind == Cause::Kind::kSignal;
    send_all(Abort{"the run ends"});
    launcher_->signal_all(at_once ? SIGKILL : SIGTERM);
    if (cause && cause->kind == Cause::Kind::kSilent) launcher_->signal(cause->rank, SIGKILL);
    asio::co_spawn(io_, kill_after_grace(), asio::detached);
  }

  asio::awaitable<void> kill_after_grace() {
    grace_.expires_after(kGrace);
    co_await grace_.async_wait(asio::use_awaitable);
    launcher_->signal_all(SIGKILL);
  }

  void end() {
    boost::system::error_code ignored;  // nothing depends on them any more
    acceptor_.close(ignored);
    signals_.cancel(ignored);
    tick_.cancel();
    grace_.cancel();
    stop_timer_.cancel();
    for (auto& connection : connections_) {
      if (connection) connection->close();
    }
    ended_ = true;
    asio::co_spawn(io_, take_leave(), asio::detached);
  }

  asio::awaitable<void> take_leave() {
    co_await launcher_->close();
    io_.stop();
  }

  asio::awaitable<void> watch_signals() {
    for (;;) {
      const int number = co_await signals_.async_wait(asio::use_awaitable);
      if (!state_.stop_requested) {
        ask_to_stop(number);
        continue;
      }
      happened(event::Signal{number});
    }
  }

  asio::awaitable<void> tick() {
    for (;;) {
      tick_.expires_after(kTick);
      co_await tick_.async_wait(asio::use_awaitable);
      happened(event::Tick{});
    }
  }

  asio::awaitable<void> accept_workers() {
    for (;;) {
      auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
      if (num_strangers_ >= kMaxStrangers) continue;  // which closes it
      ++num_strangers_;
      asio::co_spawn(io_, serve(std::move(socket)), asio::detached);
    }
  }

  // One connection, from its handshake to its end.
  asio::awaitable<void> serve(asio::ip::tcp::socket socket) {
    std::string problem;
    Introduced introduced;
    try {
      introduced = co_await within(kHandshakeLimit, "handshake",
                                   admit(socket, secret_, session_, setup_.world));
    } catch (const boost::system::system_error& error) {
      problem = "handshake: " + error.code().message();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    --num_strangers_;
    if (problem.empty()) problem = refusal(state_, introduced.rank, session_.attempt);
    if (!problem.empty()) {
      tell(hooks_.note, problem);
      co_return;
    }
    const int rank = introduced.rank;
    auto connection = std::make_shared<Connection>(std::move(socket), WireRole::kCoordinator,
                                                   std::move(introduced.keys));
    connections_[static_cast<std::size_t>(rank)] = connection;
    happened(event::Joined{rank, session_.attempt});
    try {
      for (;;) {
        auto message = co_await connection->receive();
        happened(event::SignOfLife{rank});
        handle(rank, std::move(message));
      }
    } catch (const boost::system::system_error& error) {
      problem = error.code().message();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    if (ended_) co_return;
    connection->close();
    connections_[static_cast<std::size_t>(rank)].reset();
    tell(hooks_.note, fmt::format("rank {}: connection closed: {}", rank, problem));
    happened(event::Disconnected{rank});
  }

  void handle(int rank, Message message) {
    if (auto* beat = std::get_if<Heartbeat>(&message)) {
      happened(event::Position{rank, std::move(*beat)});
    } else if (const auto* step = std::get_if<StepDone>(&message)) {
      tell(hooks_.step, *step, state_);
      happened(event::StepEnded{.next_differs = phase_at(setup_.job, step->tokens) !=
                                                phase_at(setup_.job, tokens_)});
      tokens_ = step->tokens;
    } else if (const auto* gpu = std::get_if<OnGpu>(&message)) {
      tell(hooks_.gpu, rank, gpu->name);
    } else if (auto* set = std::get_if<StoreSet>(&message)) {
      for (const int waiting : store_.set(set->key, set->value))
        send(waiting, StoreValue{set->key, set->value});
    } else if (const auto* get = std::get_if<StoreGet>(&message)) {
      if (const auto value = store_.get(get->key, rank)) send(rank, StoreValue{get->key, *value});
    } else if (const auto* shard = std::get_if<ShardWritten>(&message)) {
      finish_checkpoint(shards_.written(shard->step, rank, shard->sha256));
    } else if (const auto* lost = std::get_if<ShardFailed>(&message)) {
      finish_checkpoint(shards_.failed(lost->step, rank, lost->reason));
    } else if (const auto* print = std::get_if<Print>(&message)) {
      tell(hooks_.print, print->text);
    } else if (const auto* asked = std::get_if<StopRequested>(&message)) {
      ask_to_stop(static_cast<int>(asked->signal));
    } else if (auto* failed = std::get_if<Failed>(&message)) {
      tell(hooks_.note,
           fmt::format("rank {} failed ({}): {}", rank, failed->kind, failed->message));
      happened(event::WorkFailed{rank, std::move(*failed)});
    } else if (auto* done = std::get_if<Done>(&message)) {
      happened(event::WorkDone{rank, std::move(done->result)});
    } else {
      throw std::runtime_error(fmt::format("it sent a {}", type_name(message)));
    }
  }

  void finish_checkpoint(std::optional<ShardCollector::Complete> complete) {
    if (!complete) return;
    const auto step = complete->step;
    const auto failure = complete->failures.empty() ? "" : complete->failures.front();
    complete_[step] = std::move(*complete);
    happened(event::ShardsTold{step, failure});
  }

  // On a thread of its own, so that signs of life are still heard.
  void start_commit(std::int64_t step) {
    asio::post(committer_, [this, complete = std::move(complete_.extract(step).mapped())] {
      const auto problem = commit(complete);
      asio::post(io_, [this, step = complete.step, problem] { tell_committed(step, problem); });
    });
  }

  void drop(std::int64_t step, const std::string& reason) {
    complete_.erase(step);
    asio::post(committer_, [this, step, reason] {
      std::error_code ignored;  // the next start cleans up what is left
      std::filesystem::remove_all(staging_folder(checkpoints(), step), ignored);
      asio::post(io_, [this, step, reason] { tell_committed(step, reason); });
    });
  }

  void tell_committed(std::int64_t step, const std::string& problem) {
    tell(hooks_.checkpoint, step, problem);
    send_all(Committed{.step = step, .ok = problem.empty()});
  }

  std::filesystem::path checkpoints() const {
    return std::filesystem::path(setup_.job.run_directory) / "checkpoints";
  }

  // Returns what went wrong. On the committer's thread.
  std::string commit(const ShardCollector::Complete& complete) const {
    const auto staging = staging_folder(checkpoints(), complete.step);
    try {
      commit_checkpoint(checkpoints(), staging,
                        gather_shard_notes(staging, complete.step, complete.notes),
                        setup_.job.checkpoint.keep);
      return {};
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  const CoordinatorSetup& setup_;
  const CoordinatorHooks& hooks_;
  Session session_;
  std::string secret_;
  asio::io_context io_{1};
  std::unique_ptr<Launcher> launcher_;
  asio::ip::tcp::acceptor acceptor_;
  asio::signal_set signals_;
  asio::steady_timer tick_;
  asio::steady_timer grace_;
  asio::steady_timer stop_timer_;
  RunState state_;
  StoreTable store_;
  ShardCollector shards_;
  std::map<std::int64_t, ShardCollector::Complete> complete_;  // by step, not yet decided on
  std::int64_t tokens_ = 0;                                    // that the run has seen
  std::vector<WorkerFacts> workers_;                           // [world]
  int num_started_ = 0;
  std::vector<std::shared_ptr<Connection>> connections_;  // [world], null when there is none
  int num_strangers_ = 0;
  bool ended_ = false;
  std::exception_ptr error_;
  asio::thread_pool committer_{1};
};

}  // namespace

RunResult coordinate(const CoordinatorSetup& setup, const CoordinatorHooks& hooks) {
  return Coordinator(setup, hooks).run();
}

}  // namespace fulgur
