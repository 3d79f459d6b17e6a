#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <csignal>

#include "tests/end_to_end/clusters/mini_slurm.hpp"
#include "tests/end_to_end/tiny_run.hpp"
#include "tests/support/processes.hpp"

using namespace fulgur::test;

namespace {

std::string state_of(const TinyRun& run) {
  const auto outcome = run.fulgur({"status", "run", "--json"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  return std::string(boost::json::parse(outcome.output).at("state").as_string());
}

bool has_steps(const TinyRun& run) {
  return eventually([&] { return contains(read_text(run.directory() / "metrics.jsonl"), "\n"); });
}

std::vector<std::string> submit_endless() {
  return {"submit",
          "recipe.yaml",
          "cluster.nodes=2",
          "cluster.slurm.cpus_per_node=1",
          "train.steps=1000000",
          "checkpoint.every=0"};
}

}  // namespace

TEST_SUITE("end_to_end/clusters/runs") {
  TEST_CASE("a run on this machine has a state at any time, and is cancelled with a checkpoint") {
    const TinyRun run;
    CHECK(run.fulgur({"status", "run"}).exit_code == 2);
    const auto program = run.start_training({"train.steps=1000000", "checkpoint.every=0"});
    REQUIRE(has_steps(run));
    CHECK(state_of(run) == "RUNNING");
    REQUIRE(run.fulgur({"cancel", "run"}).exit_code == 0);
    CHECK(program->wait().exit_code == 75);
    CHECK(run.checkpoints().size() == 1);
    CHECK(state_of(run) == "STOPPED");
    const auto again = run.fulgur({"cancel", "run"});
    CHECK(again.exit_code == 2);
    CHECK(contains(again.errors, "nothing to cancel; it is STOPPED"));
    const auto listed = run.fulgur({"list", "."});
    CHECK(contains(listed.output, "STOPPED"));
    CHECK(contains(listed.output, "step " + std::to_string(run.checkpoints().back())));
  }

  TEST_CASE("a run whose process was killed is lost, and one cancelled at once has no checkpoint") {
    const TinyRun run;
    auto program = run.start_training({"train.steps=1000000", "checkpoint.every=0"});
    REQUIRE(has_steps(run));
    program->signal(SIGKILL);
    program->wait();
    CHECK(all_gone(run));
    CHECK(state_of(run) == "LOST");
    program = run.start_training({"train.steps=1000000", "checkpoint.every=0"});
    REQUIRE(eventually([&] { return state_of(run) == "RUNNING"; }));
    REQUIRE(eventually([&] { return children_of(program->pid()).size() == 2; }));
    for (const pid_t worker : children_of(program->pid()))
      ::kill(worker, SIGSTOP);  // none can stop by itself
    REQUIRE(run.fulgur({"cancel", "run", "--now"}).exit_code == 0);
    CHECK(program->wait().exit_code == 128 + SIGINT);
    CHECK(run.checkpoints().empty());
  }

  TEST_CASE("a submitted run is pending, running, followed, and cancelled with a checkpoint") {
    const MiniSlurm slurm;
    TinyRun run;
    run.set_environment(slurm.environment());
    REQUIRE(slurm.run({"scontrol", "update", "PartitionName=main", "State=DOWN"}).exit_code == 0);
    const auto submitted = run.fulgur(submit_endless());
    INFO(submitted.errors);
    REQUIRE(submitted.exit_code == 0);
    CHECK(state_of(run) == "PENDING");
    const auto follower = run.start({"logs", "run", "--follow"});
    REQUIRE(slurm.run({"scontrol", "update", "PartitionName=main", "State=UP"}).exit_code == 0);
    REQUIRE(has_steps(run));
    CHECK(state_of(run) == "RUNNING");
    REQUIRE(run.fulgur({"cancel", "run"}).exit_code == 0);
    REQUIRE(eventually([&] { return state_of(run) == "STOPPED"; }));
    CHECK(run.checkpoints().size() == 1);
    const auto followed = follower->wait();
    CHECK(followed.exit_code == 0);
    CHECK(contains(followed.output, "2 workers started on n1, n2"));
    CHECK(contains(followed.output, "step 1/1000000"));
    const auto last = run.fulgur({"logs", "run", "--lines", "2"});
    CHECK(contains(last.output, "go on: "));
    CHECK(all_gone(run));
  }

  TEST_CASE("a run that has not begun is taken off the queue") {
    const MiniSlurm slurm;
    TinyRun run;
    run.set_environment(slurm.environment());
    REQUIRE(slurm.run({"scontrol", "update", "PartitionName=main", "State=DOWN"}).exit_code == 0);
    REQUIRE(run.fulgur(submit_endless()).exit_code == 0);
    REQUIRE(run.fulgur({"cancel", "run"}).exit_code == 0);
    CHECK(state_of(run) == "CANCELLED");
  }

  TEST_CASE("a run stops by itself after its time with a checkpoint, and goes on bit for bit") {
    const TinyRun run;
    const auto outcome = run.fulgur({"train", "recipe.yaml", "train.steps=1000000",
                                     "checkpoint.every=0", "--stop-after", "1s"});
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 75);
    CHECK(contains(outcome.output, "it is time"));
    REQUIRE(run.checkpoints().size() == 1);
    const auto steps = run.checkpoints().back() + 3;
    REQUIRE(run.train_to(steps).exit_code == 0);
    check_same(*undisturbed(steps), run, steps);
    const auto past = run.fulgur({"train", "recipe.yaml", "train.steps=1000000",
                                  "checkpoint.every=0", "--stop-at", "2020-01-31T08:00:00Z"});
    INFO(past.errors);
    CHECK(past.exit_code == 75);
  }
}
