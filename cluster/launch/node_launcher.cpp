#include "cluster/launch/node_launcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <utility>

#include "cluster/launch/agent_session.hpp"
#include "cluster/launch/invitation.hpp"
#include "cluster/wire/connection.hpp"
#include "cluster/wire/deadline.hpp"
#include "cluster/wire/wire_error.hpp"

namespace fulgur {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kSureDeath{5};  // from SIGKILL until a node is given up
constexpr std::chrono::seconds kFarewell{5};   // for starters to end by themselves
constexpr std::size_t kKeptErrors = 2048;      // of what a starter wrote last
constexpr int kLostCode = 255;                 // the exit code of a worker whose node is lost

class NodeLauncher final : public Launcher {
 public:
  NodeLauncher(asio::any_io_executor executor, NodeLaunch launch)
      : executor_(std::move(executor)),
        launch_(std::move(launch)),
        acceptor_(executor_, {launch_.listen, launch_.port}),
        join_timer_(executor_),
        death_timer_(executor_),
        farewell_(executor_) {
    int rank = 0;
    for (const int ranks : launch_.ranks) {
      nodes_.push_back({.first_rank = rank, .ranks = ranks});
      rank += ranks;
    }
  }

  asio::ip::address listen_address() const override { return launch_.listen; }

  void start(const WorkerSet& workers, LaunchEvents events) override {
    workers_ = workers;
    events_ = std::move(events);
    alive_.assign(static_cast<std::size_t>(workers.world), true);
    if (!opened_) open();
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      if (!nodes_[node].lost.empty())
        asio::post(executor_, [this, node] { bury(static_cast<int>(node)); });
      else if (nodes_[node].ready)
        start_on(static_cast<int>(node));
    }
  }

  void signal(int rank, int number) override {
    const auto& node = nodes_[node_of(rank)];
    if (node.connection)
      node.connection->send(SignalWorkers{.rank = rank, .signal = number});
    else if (number == SIGKILL || number == SIGTERM)
      end_starter_of(static_cast<int>(node_of(rank)), number);
    if (number == SIGKILL) ensure_death();
  }

  void signal_all(int number) override {
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      if (nodes_[node].connection)
        nodes_[node].connection->send(SignalWorkers{.rank = -1, .signal = number});
      else if (number == SIGKILL || number == SIGTERM)
        end_starter_of(static_cast<int>(node), number);
    }
    if (number == SIGKILL) ensure_death();
  }

  asio::awaitable<void> close() override {
    closing_ = true;
    join_timer_.cancel();
    death_timer_.cancel();
    boost::system::error_code ignored;  // nobody will come any more
    acceptor_.close(ignored);
    for (auto& node : nodes_) {
      if (node.connection) node.connection->send(Abort{"the run has ended"});
    }
    if (num_starters_ > 0) {
      farewell_.expires_after(kFarewell);
      boost::system::error_code cancelled;
      co_await farewell_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    for (auto& node : nodes_) {
      if (node.connection) node.connection->close();
    }
    starters_.clear();
  }

 private:
  struct Node {
    int first_rank = 0;
    int ranks = 0;
    bool ready = false;  // its agent has said so
    std::string name;
    std::string lost;                        // why it is of no use any more; empty: it is not
    std::shared_ptr<Connection> connection;  // null: its agent is not here
  };
  struct Running {
    std::unique_ptr<ChildProcess> process;
    std::string last_errors;
  };

  std::size_t node_of(int rank) const {
    const auto found = std::find_if(nodes_.begin(), nodes_.end(), [rank](const Node& node) {
      return rank >= node.first_rank && rank < node.first_rank + node.ranks;
    });
    if (found == nodes_.end()) throw std::invalid_argument("NodeLauncher: no such rank");
    return static_cast<std::size_t>(found - nodes_.begin());
  }

  // The name once it is known, else the number.
  std::string describe(int node) const {
    const auto& name = nodes_[static_cast<std::size_t>(node)].name;
    return name.empty() ? fmt::format("node {}", node) : fmt::format("node {}", name);
  }

  void open() {
    opened_ = true;
    asio::co_spawn(executor_, accept_agents(), asio::detached);
    for (std::size_t i = 0; i < launch_.starters.size(); ++i) {
      auto spec = launch_.starters[i].process;
      spec.pipe_input = spec.pipe_errors = true;
      starters_.push_back(std::make_unique<Running>());
      starters_.back()->process = std::make_unique<ChildProcess>(executor_, spec);
      ++num_starters_;
    }
    for (std::size_t i = 0; i < starters_.size(); ++i) {
      asio::co_spawn(executor_, invite(i), asio::detached);
      asio::co_spawn(executor_, read_errors(i), asio::detached);
      asio::co_spawn(executor_, watch_starter(i), asio::detached);
    }
    asio::co_spawn(executor_, limit_join(), asio::detached);
  }

  asio::awaitable<void> invite(std::size_t i) {
    const auto& starter = launch_.starters[i];
    Invitation invitation;
    invitation.address = launch_.address;
    invitation.port = acceptor_.local_endpoint().port();
    invitation.run_id = workers_.run_id;
    invitation.secret = workers_.secret;
    invitation.node = starter.tells_node ? starter.nodes.front() : -1;
    invitation.nodes = static_cast<int>(nodes_.size());
    const auto line = to_line(invitation);
    boost::system::error_code ended;  // watch_starter() tells why
    co_await asio::async_write(starters_[i]->process->input(), asio::buffer(line),
                               asio::redirect_error(asio::use_awaitable, ended));
  }

  asio::awaitable<void> read_errors(std::size_t i) {
    std::array<char, 1024> buffer{};
    for (;;) {
      boost::system::error_code ended;
      const auto count = co_await starters_[i]->process->errors().async_read_some(
          asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, ended));
      if (ended || closing_) co_return;
      auto& kept = starters_[i]->last_errors;
      kept.append(buffer.data(), count);
      if (kept.size() > kKeptErrors) kept.erase(0, kept.size() - kKeptErrors);
      events_.note(
          fmt::format("{}: {}", launch_.starters[i].name, std::string_view(buffer.data(), count)));
    }
  }

  asio::awaitable<void> watch_starter(std::size_t i) {
    const auto status = co_await starters_[i]->process->exited();
    if (--num_starters_ == 0) farewell_.cancel();
    if (closing_) co_return;
    asio::steady_timer pause(executor_, std::chrono::milliseconds(50));  // its last words come
    co_await pause.async_wait(asio::use_awaitable);
    if (closing_) co_return;
    auto words = starters_[i]->last_errors;
    while (!words.empty() && words.back() == '\n')
      words.pop_back();
    for (const int node : launch_.starters[i].nodes) {
      lose(node, fmt::format("{} {}{}{}", launch_.starters[i].name, to_string(status),
                             words.empty() ? "" : ": ", words));
    }
  }

  asio::awaitable<void> limit_join() {
    join_timer_.expires_after(launch_.join_limit);
    boost::system::error_code cancelled;
    co_await join_timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    if (cancelled || closing_) co_return;
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      if (!nodes_[node].ready) {
        lose(static_cast<int>(node),
             fmt::format("its agent did not come within {} s", launch_.join_limit.count()));
      }
    }
  }

  asio::awaitable<void> accept_agents() {
    for (;;) {
      boost::system::error_code closed;
      auto socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, closed));
      if (closed) co_return;
      asio::co_spawn(executor_, serve(std::move(socket)), asio::detached);
    }
  }

  asio::awaitable<void> serve(asio::ip::tcp::socket socket) {
    std::string problem;
    Introduced introduced;
    const auto session = agent_session(workers_.run_id);
    try {
      introduced =
          co_await within(kHandshakeLimit, "handshake of an agent",
                          admit(socket, workers_.secret, session, static_cast<int>(nodes_.size())));
    } catch (const std::exception& error) {
      problem = error.what();
    }
    if (closing_) co_return;
    const auto at = static_cast<std::size_t>(std::max(introduced.rank, 0));
    if (problem.empty() && (nodes_[at].connection || !nodes_[at].lost.empty()))
      problem = fmt::format("a second agent calls itself node {}", introduced.rank);
    if (!problem.empty()) {
      events_.note(problem);
      co_return;
    }
    const auto connection = std::make_shared<Connection>(std::move(socket), WireRole::kCoordinator,
                                                         std::move(introduced.keys));
    nodes_[at].connection = connection;
    try {
      for (;;)
        handle(introduced.rank, co_await connection->receive());
    } catch (const std::exception& error) {
      problem = error.what();
    }
    connection->close();
    nodes_[at].connection.reset();
    if (closing_) co_return;
    // ssh says it better, when it was ssh that failed.
    asio::steady_timer pause(executor_, std::chrono::milliseconds(200));
    co_await pause.async_wait(asio::use_awaitable);
    if (!closing_) lose(introduced.rank, fmt::format("the agent is gone ({})", problem));
  }

  void handle(int node, const Message& message) {
    auto& self = nodes_[static_cast<std::size_t>(node)];
    if (const auto* ready = std::get_if<NodeReady>(&message)) {
      self.name = ready->host;
      self.ready = true;
      events_.note(fmt::format("node {}: {} (agent {})", node, ready->host, ready->pid));
      start_on(node);
    } else if (const auto* started = std::get_if<WorkerStarted>(&message)) {
      const int rank = checked_rank(node, started->rank);
      WorkerFacts facts{.pid = static_cast<pid_t>(started->pid), .node = self.name, .errors = {}};
      if (!workers_.logs.empty()) facts.errors = log_file(workers_.logs, rank, "err");
      events_.started(rank, facts);
    } else if (const auto* output = std::get_if<WorkerOutput>(&message)) {
      keep(checked_rank(node, output->rank), *output);
    } else if (const auto* exited = std::get_if<WorkerExited>(&message)) {
      const ExitStatus status{.code = static_cast<int>(exited->code),
                              .signal = static_cast<int>(exited->signal),
                              .reason = exited->reason};
      end_rank(checked_rank(node, exited->rank), status, {});
    } else if (const auto* asked = std::get_if<StopRequested>(&message)) {
      events_.stop_asked(static_cast<int>(asked->signal));
    } else if (const auto* failed = std::get_if<Failed>(&message)) {
      lose(node, failed->message);
    } else {
      throw WireError(WireError::Kind::kMessage, fmt::format("it sent a {}", type_name(message)));
    }
  }

  int checked_rank(int node, std::int64_t rank) const {
    const auto& self = nodes_[static_cast<std::size_t>(node)];
    if (rank < self.first_rank || rank >= self.first_rank + self.ranks) {
      throw WireError(WireError::Kind::kMessage,
                      fmt::format("rank {} is not one of its own", rank));
    }
    return static_cast<int>(rank);
  }

  void start_on(int node) {
    const auto& self = nodes_[static_cast<std::size_t>(node)];
    self.connection->send(StartWorkers{.run_id = workers_.run_id,
                                       .attempt = workers_.attempt,
                                       .world = workers_.world,
                                       .first_rank = self.first_rank,
                                       .ranks = self.ranks,
                                       .node = node,
                                       .nodes = static_cast<std::int64_t>(nodes_.size()),
                                       .port = workers_.port,
                                       .directory = std::filesystem::current_path().string(),
                                       .environment = launch_.environment});
  }

  void keep(int rank, const WorkerOutput& output) const {
    if (workers_.logs.empty()) {
      std::fputs(output.text.c_str(), output.errors ? stderr : stdout);
      return;
    }
    const auto path = log_file(workers_.logs, rank, output.errors ? "err" : "out");
    std::ofstream file(path, std::ios::binary | std::ios::app);
    file << output.text << std::flush;
    if (!file) events_.note(fmt::format("{}: cannot be written", path.string()));
  }

  void end_rank(int rank, const ExitStatus& status, const std::string& lost) {
    const auto at = static_cast<std::size_t>(rank);
    if (!alive_[at]) return;
    alive_[at] = false;
    events_.exited(rank, status, lost);
  }

  void lose(int node, const std::string& reason) {
    auto& self = nodes_[static_cast<std::size_t>(node)];
    if (!self.lost.empty()) return;
    self.lost = fmt::format("{} is lost: {}", describe(node), reason);
    events_.note(self.lost);
    if (self.connection) self.connection->close();
    bury(node);
  }

  // All ranks of a lost node are dead.
  void bury(int node) {
    const auto& self = nodes_[static_cast<std::size_t>(node)];
    for (int rank = self.first_rank; rank < self.first_rank + self.ranks; ++rank)
      end_rank(rank, {.code = kLostCode, .signal = 0}, self.lost);
  }

  void end_starter_of(int node, int number) {
    for (std::size_t i = 0; i < starters_.size(); ++i) {
      const auto& its = launch_.starters[i].nodes;
      if (std::find(its.begin(), its.end(), node) != its.end())
        starters_[i]->process->signal(number);
    }
  }

  void ensure_death() {
    if (dying_) return;
    dying_ = true;
    asio::co_spawn(executor_, give_up_the_silent(), asio::detached);
  }

  asio::awaitable<void> give_up_the_silent() {
    death_timer_.expires_after(kSureDeath);
    boost::system::error_code cancelled;
    co_await death_timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    dying_ = false;
    if (cancelled || closing_) co_return;
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      const auto first = alive_.begin() + nodes_[node].first_rank;
      if (std::find(first, first + nodes_[node].ranks, true) == first + nodes_[node].ranks)
        continue;
      end_starter_of(static_cast<int>(node), SIGKILL);
      lose(static_cast<int>(node), "it does not answer");
    }
  }

  asio::any_io_executor executor_;
  NodeLaunch launch_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer join_timer_;
  asio::steady_timer death_timer_;
  asio::steady_timer farewell_;
  WorkerSet workers_;
  LaunchEvents events_;
  std::vector<Node> nodes_;
  std::vector<bool> alive_;  // [world] its end has not been told
  std::vector<std::unique_ptr<Running>> starters_;
  int num_starters_ = 0;  // that run
  bool opened_ = false;
  bool dying_ = false;
  bool closing_ = false;
};

}  // namespace

std::unique_ptr<Launcher> make_node_launcher(const asio::any_io_executor& executor,
                                             NodeLaunch launch) {
  return std::make_unique<NodeLauncher>(executor, std::move(launch));
}

}  // namespace fulgur
