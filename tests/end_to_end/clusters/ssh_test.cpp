#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <regex>

#include "tests/end_to_end/clusters/local_sshd.hpp"
#include "tests/end_to_end/tiny_run.hpp"
#include "tests/support/processes.hpp"

using namespace fulgur::test;

namespace {

constexpr const char* kEndless = "train.steps=1000000";

std::vector<std::string> over(const std::string& hosts, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"train", "recipe.yaml", "--cluster", "ssh",
                                     "cluster.hosts=" + hosts};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::string file_of(pid_t pid, const char* name) {
  return read_text("/proc/" + std::to_string(pid) + "/" + name);
}

// The processes of fulgur and its ssh clients whose command line has all these words.
std::vector<pid_t> with_words(const std::vector<std::string>& words) {
  std::vector<pid_t> found;
  for (const pid_t pid : all_processes()) {
    auto line = file_of(pid, "cmdline");
    std::replace(line.begin(), line.end(), '\0', ' ');
    const bool all = std::all_of(words.begin(), words.end(),
                                 [&](const auto& word) { return contains(line, word); });
    if (all) found.push_back(pid);
  }
  return found;
}

// Ends the connection to a host.
void cut_off(const Program& program, const std::string& host) {
  std::vector<pid_t> clients;
  for (const pid_t child : children_of(program.pid())) {
    if (contains(file_of(child, "cmdline"), host)) clients.push_back(child);
  }
  REQUIRE(clients.size() == 1);
  REQUIRE(::kill(clients.front(), SIGKILL) == 0);
}

}  // namespace

TEST_SUITE("end_to_end/clusters/ssh") {
  TEST_CASE("two hosts over ssh take the same steps as one machine, bit for bit") {
    const LocalSshd sshd;
    TinyRun run;
    run.set_environment(sshd.environment());
    const auto outcome = run.fulgur(over("[h1:1, h2:1]", {"train.steps=9"}));
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    check_same(*undisturbed(9), run, 9);
    CHECK(all_gone(run));
  }

  TEST_CASE("the end of an ssh connection ends the host's workers, and the host is named") {
    const LocalSshd sshd;
    TinyRun run;
    run.set_environment(sshd.environment());
    const auto program =
        run.start(over("[h1:1, h2:1]", {kEndless, "checkpoint.every=20", "faults.restarts=0"}));
    REQUIRE(is_under_way(run));
    cut_off(*program, "h2");
    const auto outcome = program->wait();
    CHECK(outcome.exit_code == 69);
    CHECK(contains(outcome.errors, "rank 1"));
    CHECK(contains(outcome.errors, "ssh to h2 was killed by signal 9"));
    CHECK(contains(outcome.errors, "go on from the newest checkpoint: fulgur train recipe.yaml"));
    CHECK(all_gone(run));
  }

  TEST_CASE("a spare host takes the place of a lost one, and the run ends as if undisturbed") {
    const LocalSshd sshd;
    TinyRun run;
    run.set_environment(sshd.environment());
    const auto program =
        run.start(over("[h1:1, h2:1, h3:1]", {"train.steps=1000", "checkpoint.every=20"}));
    REQUIRE(is_under_way(run));
    cut_off(*program, "h2");
    const auto outcome = program->wait();
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK(contains(outcome.output, "restart 1 of 5"));
    CHECK(contains(read_text(run.directory() / "events.jsonl"), "ssh to h2 was killed"));
    check_same(*undisturbed(1000), run, 1000);
    CHECK(all_gone(run));
  }

  TEST_CASE(
      "where a host is lost and none is spare, the run goes on with fewer replicas if it may") {
    const LocalSshd sshd;
    TinyRun run;
    run.set_environment(sshd.environment());
    const auto program = run.start(
        over("[h1:1, h2:1]", {"train.steps=1000", "checkpoint.every=20", "faults.min_dp=1"}));
    REQUIRE(is_under_way(run));
    cut_off(*program, "h2");
    const auto outcome = program->wait();
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK(contains(outcome.output, "dp=1 now"));
    CHECK(contains(outcome.output, "1 worker started"));
    REQUIRE(run.metrics().size() == 1000);
    const auto expected = undisturbed(1000)->metrics();
    CHECK(run.metrics().back().loss == doctest::Approx(expected.back().loss).epsilon(1e-3));
    CHECK(all_gone(run));
  }

  TEST_CASE("a host whose key is not known is refused before any worker starts") {
    const LocalSshd sshd;
    TinyRun run;
    run.set_environment(sshd.environment());
    const auto outcome = run.fulgur(over("[stranger:2]"));
    CHECK(outcome.exit_code == 69);
    CHECK(contains(outcome.errors, "Host key verification failed"));
    CHECK(contains(outcome.errors, "ssh to stranger"));
    CHECK(all_gone(run));
  }

  TEST_CASE("the secret stands in no argument and in no environment on either side") {
    const LocalSshd sshd;
    TinyRun run;
    run.set_environment(sshd.environment());
    const auto program = run.start(over("[h1:2]", {kEndless, "checkpoint.every=20"}));
    REQUIRE(is_under_way(run));
    const std::regex secret("[0-9a-f]{64}");
    auto pids = processes_in(run.folder());
    for (const pid_t pid : with_words({"ssh", "h1", "agent"}))
      pids.push_back(pid);
    CHECK(pids.size() >= 5);  // fulgur, ssh, the agent, two workers
    for (const pid_t pid : pids) {
      CAPTURE(file_of(pid, "cmdline"));
      CHECK_FALSE(std::regex_search(file_of(pid, "cmdline"), secret));
      CHECK_FALSE(std::regex_search(file_of(pid, "environ"), secret));
    }
    program->signal(SIGTERM);
    CHECK(program->wait().exit_code == 75);
    CHECK(all_gone(run));
  }

  TEST_CASE("a coordinator that is killed leaves nothing behind on the hosts") {
    const LocalSshd sshd;
    TinyRun run;
    run.set_environment(sshd.environment());
    const auto program = run.start(over("[h1:1, h2:1]", {kEndless, "checkpoint.every=20"}));
    REQUIRE(is_under_way(run));
    program->signal(SIGKILL);
    program->wait();
    CHECK(all_gone(run));
  }
}
