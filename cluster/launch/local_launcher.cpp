#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>
#include <vector>

#include "cluster/launch/local.hpp"

namespace fulgur {
namespace {

namespace asio = boost::asio;

class LocalLauncher final : public Launcher {
 public:
  LocalLauncher(asio::any_io_executor executor, std::filesystem::path program,
                std::vector<std::string> environment)
      : executor_(std::move(executor)),
        program_(std::move(program)),
        environment_(std::move(environment)) {}

  asio::ip::address listen_address() const override { return asio::ip::address_v4::loopback(); }

  void start(const WorkerSet& asked, LaunchEvents events) override {
    auto workers = asked;
    workers.environment = environment_;
    events_ = std::move(events);
    processes_.clear();
    const NodePart part{.ranks = workers.world};
    const auto cores = deal_cores(usable_cores(), workers.world);
    std::vector<WorkerFacts> facts;
    for (int rank = 0; rank < workers.world; ++rank) {
      auto spec =
          worker_process(program_, workers, part, rank, cores[static_cast<std::size_t>(rank)]);
      if (!workers.logs.empty()) {
        spec.output = log_file(workers.logs, rank, "out");
        spec.errors = log_file(workers.logs, rank, "err");
      }
      processes_.push_back(std::make_unique<ChildProcess>(executor_, spec));
      facts.push_back({.pid = processes_.back()->pid(), .node = {}, .errors = spec.errors});
    }
    for (int rank = 0; rank < workers.world; ++rank) {
      asio::co_spawn(executor_, watch(rank), asio::detached);
      events_.started(rank, facts[static_cast<std::size_t>(rank)]);
    }
  }

  void signal(int rank, int number) override {
    processes_.at(static_cast<std::size_t>(rank))->signal(number);
  }
  void signal_all(int number) override {
    for (auto& process : processes_)
      process->signal(number);
  }

  asio::awaitable<void> close() override { co_return; }

 private:
  asio::awaitable<void> watch(int rank) {
    const auto status = co_await processes_.at(static_cast<std::size_t>(rank))->exited();
    events_.exited(rank, status, {});
  }

  asio::any_io_executor executor_;
  std::filesystem::path program_;
  std::vector<std::string> environment_;
  LaunchEvents events_;
  std::vector<std::unique_ptr<ChildProcess>> processes_;  // [world]
};

}  // namespace

std::filesystem::path log_file(const std::filesystem::path& logs, int rank, const char* suffix) {
  return logs / fmt::format("rank-{:05}.{}", rank, suffix);
}

std::unique_ptr<Launcher> make_local_launcher(const asio::any_io_executor& executor,
                                              std::filesystem::path program,
                                              std::vector<std::string> environment) {
  return std::make_unique<LocalLauncher>(executor, std::move(program), std::move(environment));
}

}  // namespace fulgur
