#include "orchestrator/coordinator/coordinator.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

#include "cluster/launch/local.hpp"
#include "orchestrator/coordinator/verdict.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace fulgur;

namespace {

using Clock = std::chrono::steady_clock;

// A run of fake workers, one for each role.
struct FakeRun {
  explicit FakeRun(int world) {
    setup.world = world;
    setup.run_id = "fake";
    use(FULGUR_FAKE_WORKER);
    setup.logs = folder.path();
    setup.job.run_directory = folder.path();
    // Generous: a loaded machine must not make a healthy worker look dead.
    setup.limits.dead_after = std::chrono::seconds(20);
    setup.limits.settle = std::chrono::seconds(5);
    setup.limits.join = std::chrono::seconds(20);
  }

  void use(const std::filesystem::path& program) {
    setup.launcher = [program](const boost::asio::any_io_executor& executor) {
      return make_local_launcher(executor, program, {});
    };
  }

  RunResult run(const char* roles) {
    ::setenv("FULGUR_FAKE_ROLES", roles, 1);
    hooks.print = [this](const std::string& text) { printed += text; };
    hooks.step = [this](const StepDone& step, const RunState&) { steps.push_back(step); };
    hooks.note = [this](const std::string& text) { notes += text + "\n"; };
    auto result = coordinate(setup, hooks);
    for (const auto& worker : result.workers)
      CHECK(::kill(worker.pid, 0) == -1);  // nobody is left, not even a zombie
    return result;
  }

  test::TemporaryDirectory folder;
  CoordinatorSetup setup;
  CoordinatorHooks hooks;
  std::string printed;
  std::string notes;
  std::vector<StepDone> steps;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("orchestrator/coordinator") {
  TEST_CASE("a run in which all workers finish ends with 0") {
    FakeRun fake(2);
    const auto result = fake.run("train set");
    CHECK(result.exit_code == 0);
    REQUIRE(fake.steps.size() == 1);
    CHECK(fake.steps.front().loss == 0.1);
    CHECK(explain(result, "again").empty());
  }

  TEST_CASE("a value that one worker sets reaches those that wait for it") {
    FakeRun fake(3);
    CHECK(fake.run("get get set").exit_code == 0);
    CHECK(fake.printed == "7676");
  }

  TEST_CASE("a killed worker ends the run with its rank, signal, place and last lines") {
    FakeRun fake(3);
    const auto result = fake.run("beat kill beat");
    CHECK(result.exit_code == 1);
    const auto text = explain(result, "fulgur train x.yaml");
    CHECK(text.starts_with("fulgur: rank 1 (pid "));
    CHECK(contains(text, "was killed by signal 9 (SIGKILL)"));
    CHECK(contains(text, "step 7; all_reduce #3 of group dp"));
    CHECK(contains(text, "rank-00001.err\n    | last words of rank 1\n"));
    CHECK(contains(text, "fulgur train x.yaml\n"));
  }

  TEST_CASE("the killed rank is named, not the peers that fail because of it") {
    FakeRun fake(4);
    const auto result = fake.run("echo kill echo echo");
    REQUIRE(result.state.cause.has_value());
    CHECK(result.state.cause->rank == 1);
    CHECK(result.state.cause->kind == Cause::Kind::kDied);
  }

  TEST_CASE("a failed collective without a dead peer is named after a while") {
    FakeRun fake(2);
    fake.setup.limits.settle = std::chrono::milliseconds(200);
    const auto result = fake.run("beat echo");
    CHECK(result.exit_code == 1);
    CAPTURE(explain(result, {}));
    CAPTURE(fake.notes);
    CHECK(contains(explain(result, {}), "rank 1 (pid"));
    CHECK(contains(explain(result, {}), "failed: rank 1 was lost"));
  }

  TEST_CASE("an exit code, a bad file and a wrong secret are told, with the exit code for it") {
    struct Case {
      const char* roles;
      int exit_code;
      const char* text;
    };
    for (const auto& each :
         {Case{"beat exit3", 1, "rank 1 "}, Case{"beat exit3", 1, "exited with code 3"},
          Case{"data beat", 65, "failed: /a.txt: is empty"},
          Case{"beat stranger", 77, "exited with code 77"}}) {
      CAPTURE(each.roles);
      FakeRun fake(2);
      const auto result = fake.run(each.roles);
      CHECK(result.exit_code == each.exit_code);
      CHECK(contains(explain(result, {}), each.text));
    }
  }

  TEST_CASE("a worker that is frozen, silent or has hung up is found out") {
    for (const char* roles : {"beat freeze", "beat hush", "beat hangup"}) {
      CAPTURE(roles);
      FakeRun fake(2);
      fake.setup.limits.dead_after = std::chrono::milliseconds(1500);
      fake.setup.limits.settle = std::chrono::milliseconds(200);
      const auto result = fake.run(roles);
      CHECK(result.exit_code == 1);
      REQUIRE(result.state.cause.has_value());
      CHECK(result.state.cause->rank == 1);
    }
  }

  TEST_CASE("a worker that never comes ends the run with 69") {
    FakeRun fake(2);
    fake.setup.limits.join = std::chrono::milliseconds(1500);
    const auto result = fake.run("beat absent");
    CHECK(result.exit_code == 69);
    CHECK(contains(explain(result, {}), "rank 1 (pid"));
  }

  TEST_CASE("the first signal stops the workers, whoever gets it; the run ends with 75") {
    FakeRun asked(2);
    int told = 0;
    asked.hooks.stopping = [&](int signal) { told = signal; };
    CHECK(asked.run("beat ask").exit_code == 75);
    CHECK(told == SIGUSR2);

    FakeRun fake(2);
    fake.hooks.started = [](std::uint16_t, const std::vector<WorkerFacts>&) { ::raise(SIGTERM); };
    CHECK(fake.run("beat beat").exit_code == 75);
  }

  TEST_CASE("the second signal ends the run at once with 128 + its number") {
    FakeRun fake(2);
    fake.hooks.stopping = [](int) { ::raise(SIGINT); };
    fake.hooks.started = [](std::uint16_t, const std::vector<WorkerFacts>&) { ::raise(SIGINT); };
    const auto result = fake.run("hush hush");
    CHECK(result.exit_code == 130);
  }

  TEST_CASE("a failing hook ends the run and reaches the caller") {
    FakeRun fake(2);
    ::setenv("FULGUR_FAKE_ROLES", "train beat", 1);
    fake.hooks.step = [](const StepDone&, const RunState&) {
      throw std::runtime_error("the disk is full");
    };
    CHECK_THROWS_WITH(coordinate(fake.setup, fake.hooks), "the disk is full");
  }

  TEST_CASE("a second worker of the same rank is turned away, and the first works on") {
    FakeRun fake(2);
    CHECK(fake.run("twice set").exit_code == 0);
    CHECK(contains(fake.notes, "a second worker calls itself rank 0"));
  }

  TEST_CASE("a worker program that cannot be started is named") {
    FakeRun fake(2);
    fake.use("/no/such/worker");
    CHECK_THROWS_WITH_AS(coordinate(fake.setup, fake.hooks), doctest::Contains("/no/such/worker"),
                         LaunchError);
  }
}
