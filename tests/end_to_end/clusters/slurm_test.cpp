#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <thread>

#include "orchestrator/submit/batch_script.hpp"
#include "tests/end_to_end/clusters/mini_slurm.hpp"
#include "tests/end_to_end/tiny_run.hpp"
#include "tests/support/processes.hpp"

using namespace fulgur::test;

namespace {

// Long enough to be interrupted.
constexpr std::int64_t kSteps = 1000;

std::vector<std::string> on_slurm(const char* command, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{command, "recipe.yaml",     "--cluster",
                                     "slurm", "cluster.nodes=2", "cluster.slurm.cpus_per_node=1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// "tiny: job 12 of Slurm on 2 nodes; ..."
std::string job_in(const std::string& output) {
  const std::string before = "job ";
  const auto at = output.find(before);
  REQUIRE(at != std::string::npos);
  const auto begin = at + before.size();
  return output.substr(begin, output.find(' ', begin) - begin);
}

std::string submit(const TinyRun& run, std::vector<std::string> more = {}) {
  const auto outcome = run.fulgur(on_slurm("train", std::move(more)));
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  return job_in(outcome.output);
}

std::string log_of(const TinyRun& run, const std::string& job) {
  return read_text(run.directory() / ("slurm-" + job + ".log"));
}

bool has_steps(const TinyRun& run) {
  return eventually([&] { return contains(read_text(run.directory() / "metrics.jsonl"), "\n"); });
}

// Slurm waits before it starts a job again; a test need not.
void start_now(const MiniSlurm& slurm, const std::string& job) {
  slurm.run({"scontrol", "update", "JobId=" + job, "StartTime=now"});
}

}  // namespace

TEST_SUITE("end_to_end/clusters/slurm") {
  TEST_CASE(
      "a submitted run is warned, queued again, and ends with the bits of an undisturbed one") {
    const MiniSlurm slurm;
    TinyRun run;
    run.set_environment(slurm.environment());
    const auto steps = "train.steps=" + std::to_string(kSteps);
    const auto job = submit(run, {steps, "checkpoint.every=0"});
    CHECK(has_steps(run));
    // What Slurm does before the time limit, by --signal=B:USR1@120.
    REQUIRE(slurm.run({"scancel", "--batch", "--signal=USR1", job}).exit_code == 0);
    REQUIRE(eventually([&] { return slurm.field(job, "Restarts") == "1"; }));
    REQUIRE(run.checkpoints().size() == 1);
    const auto stopped_at = run.checkpoints().back();
    CHECK(stopped_at < kSteps);
    CHECK(contains(log_of(run, job), "stopped at step " + std::to_string(stopped_at)));
    CHECK(contains(log_of(run, job), "queued again"));
    start_now(slurm, job);
    INFO(log_of(run, job));
    REQUIRE(slurm.reaches(job, "COMPLETED"));
    CHECK(contains(log_of(run, job), "going on from step " + std::to_string(stopped_at)));
    CHECK(contains(log_of(run, job), "on n1, n2"));
    check_same(*undisturbed(kSteps), run, kSteps);
    CHECK(all_gone(run));
  }

  TEST_CASE("a preempted run writes its checkpoint and is queued again by itself") {
    const MiniSlurm slurm;
    TinyRun run;
    run.set_environment(slurm.environment());
    const auto job = submit(run, {"train.steps=1000000", "checkpoint.every=0"});
    REQUIRE(has_steps(run));
    REQUIRE(slurm.run({"sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--wrap=true"})
                .exit_code == 0);
    REQUIRE(eventually([&] { return slurm.field(job, "Restarts") == "1"; }));
    INFO(log_of(run, job));
    CHECK(run.checkpoints().size() == 1);
    CHECK(contains(log_of(run, job), "queued again"));
    CHECK(all_gone(run));
  }

  TEST_CASE("a job that is cancelled writes a checkpoint and is not queued again") {
    const MiniSlurm slurm;
    TinyRun run;
    run.set_environment(slurm.environment());
    const auto job = submit(run, {"train.steps=1000000", "checkpoint.every=0"});
    REQUIRE(has_steps(run));
    REQUIRE(slurm.run({"scancel", job}).exit_code == 0);
    REQUIRE(slurm.reaches(job, "CANCELLED"));
    CHECK(all_gone(run));
    INFO(log_of(run, job));
    CHECK(run.checkpoints().size() == 1);
    CHECK(slurm.field(job, "Restarts") == "0");
  }

  TEST_CASE("in an allocation that is there, the run uses it, and leaves it without a trace") {
    const MiniSlurm slurm;
    TinyRun run;
    run.set_environment(slurm.environment());
    auto arguments = on_slurm("train", {"train.steps=9"});
    arguments.insert(arguments.begin(), {"salloc", "--nodes=2", "--ntasks=2", FULGUR_PROGRAM});
    auto environment = slurm.environment();
    environment["FULGUR_WORKER"] = FULGUR_WORKER_PROGRAM;
    const auto outcome = Program(arguments, run.folder(), environment).wait();
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK(contains(outcome.output, "2 workers started on n1, n2"));
    check_same(*undisturbed(9), run, 9);
    CHECK(all_gone(run));
  }

  TEST_CASE("a killed agent ends the run with the name of its node, and no worker stays behind") {
    const MiniSlurm slurm;
    TinyRun run;
    run.set_environment(slurm.environment());
    const auto job =
        submit(run, {"train.steps=1000000", "checkpoint.every=20", "faults.restarts=0"});
    REQUIRE(is_under_way(run));
    std::vector<pid_t> agents;
    for (const pid_t pid : processes_in(run.folder())) {
      if (contains(read_text("/proc/" + std::to_string(pid) + "/cmdline"), "agent") &&
          contains(read_text("/proc/" + std::to_string(pid) + "/environ"), "SLURMD_NODENAME=n2") &&
          !contains(read_text("/proc/" + std::to_string(pid) + "/cmdline"), "srun"))
        agents.push_back(pid);
    }
    REQUIRE(agents.size() == 1);
    REQUIRE(::kill(agents.front(), SIGKILL) == 0);
    REQUIRE(slurm.reaches(job, "FAILED"));
    CHECK(slurm.field(job, "ExitCode") == "69:0");
    INFO(log_of(run, job));
    CHECK(contains(log_of(run, job), "node n2 is lost"));
    CHECK(contains(log_of(run, job), "rank 1"));
    CHECK(all_gone(run));
  }

  TEST_CASE("a spare node takes the place of a lost one within the job") {
    const MiniSlurm slurm;
    TinyRun run;
    run.set_environment(slurm.environment());
    const auto outcome =
        run.fulgur({"train", "recipe.yaml", "--cluster", "slurm", "faults.spares=1",
                    "cluster.slurm.cpus_per_node=1", "train.steps=1000", "checkpoint.every=20"});
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    const auto job = job_in(outcome.output);
    REQUIRE(is_under_way(run));
    CHECK(slurm.field(job, "NumNodes") == "2");
    std::vector<pid_t> agents;
    for (const pid_t pid : processes_in(run.folder())) {
      const auto command = read_text("/proc/" + std::to_string(pid) + "/cmdline");
      if (contains(command, "agent") && !contains(command, "srun")) agents.push_back(pid);
    }
    REQUIRE(agents.size() == 1);
    REQUIRE(::kill(agents.front(), SIGKILL) == 0);
    REQUIRE(slurm.reaches(job, "COMPLETED"));
    INFO(log_of(run, job));
    CHECK(contains(log_of(run, job), "restart 1 of 5"));
    check_same(*undisturbed(1000), run, 1000);
    CHECK(all_gone(run));
  }

  TEST_CASE("an excluded node is not used") {
    const MiniSlurm slurm;
    TinyRun run;
    run.set_environment(slurm.environment());
    const auto job = submit(run, {"cluster.nodes=1", "--exclude", "n1"});
    REQUIRE(slurm.reaches(job, "COMPLETED"));
    CHECK(slurm.field(job, "NodeList") == "n2");
    CHECK(contains(log_of(run, job), "workers started on n2;"));
  }

  TEST_CASE("the printed script is the one that is submitted, and Slurm finds it right") {
    const MiniSlurm slurm;
    TinyRun run;
    run.set_environment(slurm.environment());
    const auto printed = run.fulgur(on_slurm("train", {"cluster.slurm.time=90min", "--dry-run"}));
    REQUIRE(printed.exit_code == 0);
    CHECK(contains(printed.output, "#SBATCH --time=90\n"));
    CHECK(contains(printed.output, "#SBATCH --signal=B:USR1@120\n"));
    CHECK_FALSE(std::filesystem::exists(run.directory()));
    const auto path = run.folder() / "printed.sh";
    std::ofstream(path) << printed.output;
    const auto judged = slurm.run({"sbatch", "--test-only", path.string()});
    INFO(judged.errors);
    CHECK(judged.exit_code == 0);
    submit(run, {"cluster.slurm.time=90min"});
    CHECK(read_text(run.directory() / "batch.sh") == printed.output);
  }

  TEST_CASE("an array runs one command an element, and not more at once than it may") {
    const MiniSlurm slurm;
    const TemporaryDirectory folder;
    fulgur::BatchScript script{
        .name = "three", .directory = folder.path(), .output = folder.path()};
    script.cluster.slurm.cpus_per_node = 1;
    for (const auto* word : {"a", "b c", "d'e"})
      script.commands.push_back({"/usr/bin/touch", word});
    script.at_once = 2;
    const auto path = folder.path() / "array.sh";
    std::ofstream(path) << fulgur::batch_script(script);
    const auto outcome = slurm.run({"sbatch", path.string()});
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    for (const auto* name : {"a", "b c", "d'e"}) {
      CAPTURE(name);
      CHECK(eventually([&] { return std::filesystem::exists(folder.path() / name); }));
    }
    CHECK(contains(read_text(path), "#SBATCH --array=0-2%2\n"));
  }
}
