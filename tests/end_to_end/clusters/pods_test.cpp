#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/end_to_end/clusters/daemon.hpp"
#include "tests/end_to_end/tiny_run.hpp"
#include "tests/support/processes.hpp"

using namespace fulgur::test;

namespace {

// The environment that the pods of a JobSet have, but for the number of the node.
std::map<std::string, std::string> environment_of_pods(const TinyRun& run) {
  const auto secret = (run.folder() / "secret").string();
  std::ofstream(secret) << std::string(64, '7') << "\n";
  ::chmod(secret.c_str(), 0400);
  return {{"FULGUR_COORDINATOR_ADDRESS", "localhost"},
          {"FULGUR_COORDINATOR_PORT", std::to_string(free_port())},
          {"FULGUR_RUN_ID", "tiny"},
          {"FULGUR_NODES", "2"},
          {"FULGUR_SECRET_FILE", secret},
          {"FULGUR_WORKER", FULGUR_WORKER_PROGRAM}};
}

std::unique_ptr<Program> start_pod(const TinyRun& run, const char* node,
                                   std::map<std::string, std::string> environment) {
  environment["FULGUR_NODE"] = node;
  return std::make_unique<Program>(std::vector<std::string>{FULGUR_PROGRAM, "agent"}, run.folder(),
                                   environment);
}

}  // namespace

TEST_SUITE("end_to_end/clusters/pods") {
  TEST_CASE("agents that start by themselves find their coordinator and train to the same bits") {
    stay_on_one_core();
    TinyRun run;
    const auto environment = environment_of_pods(run);
    const auto first = start_pod(run, "0", environment);  // before its coordinator is there
    run.set_environment(environment);
    const auto coordinator = run.start(
        {"train", "recipe.yaml", "--cluster", "kubernetes", "cluster.nodes=2", "train.steps=9"});
    const auto second = start_pod(run, "1", environment);
    const auto outcome = coordinator->wait();
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK(first->wait().exit_code == 0);
    CHECK(second->wait().exit_code == 0);
    check_same(*undisturbed(9), run, 9);
  }

  TEST_CASE("an agent with another secret is turned away, and the run goes on without it") {
    TinyRun run;
    const auto environment = environment_of_pods(run);
    run.set_environment(environment);
    const auto coordinator = run.start(
        {"train", "recipe.yaml", "--cluster", "kubernetes", "cluster.nodes=2", "train.steps=9"});
    auto wrong = environment;
    wrong["FULGUR_SECRET_FILE"] = (run.folder() / "other").string();
    std::ofstream(wrong["FULGUR_SECRET_FILE"]) << std::string(64, '8') << "\n";
    ::chmod(wrong["FULGUR_SECRET_FILE"].c_str(), 0400);
    const auto stranger = start_pod(run, "1", wrong)->wait();
    CHECK(stranger.exit_code == 77);
    CHECK_FALSE(contains(stranger.errors, std::string(64, '8')));
    const auto first = start_pod(run, "0", environment);
    const auto second = start_pod(run, "1", environment);
    CHECK(coordinator->wait().exit_code == 0);
  }
}
