#include "orchestrator/submit/batch_script.hpp"

#include <doctest/doctest.h>

#include <sstream>
#include <stdexcept>

#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace fulgur;

namespace {

BatchScript some_script() {
  BatchScript script{.name = "tiny",
                     .directory = "/home/ada/my work",
                     .output = "/runs/tiny",
                     .commands = {{"/opt/fulgur", "train", "r.yaml", "data.files=[a b.txt]"}}};
  script.cluster.nodes = 4;
  return script;
}

bool has_line(const std::string& text, const std::string& line) {
  return text.find(line + "\n") != std::string::npos;
}

}  // namespace

TEST_SUITE("orchestrator/submit/batch_script") {
  TEST_CASE("the script asks for whole nodes, a warning, and to be queued again") {
    const auto text = batch_script(some_script());
    for (const auto* line :
         {"#SBATCH --nodes=4", "#SBATCH --ntasks-per-node=1", "#SBATCH --exclusive",
          "#SBATCH --requeue", "#SBATCH --open-mode=append", "#SBATCH --signal=B:USR1@120",
          "#SBATCH --output=/runs/tiny/slurm-%j.log", "#SBATCH --chdir='/home/ada/my work'",
          "exec /opt/fulgur train r.yaml 'data.files=[a b.txt]'"}) {
      CAPTURE(line);
      CHECK(has_line(text, line));
    }
    CHECK(text.find("--time") == std::string::npos);
    CHECK(text.find("--array") == std::string::npos);
  }

  TEST_CASE("what the recipe says about Slurm stands in the script") {
    auto script = some_script();
    script.cluster.slurm = {.partition = "gpu",
                            .account = "lab",
                            .qos = "long",
                            .time_seconds = 5401,
                            .gpus_per_node = 8,
                            .cpus_per_node = 96,
                            .warning_seconds = 300,
                            .options = {"--constraint=h200"}};
    script.cluster.exclude = {"n3", "n9"};
    const auto text = batch_script(script);
    for (const auto* line :
         {"#SBATCH --partition=gpu", "#SBATCH --account=lab", "#SBATCH --qos=long",
          "#SBATCH --time=91", "#SBATCH --gpus-per-node=8", "#SBATCH --cpus-per-task=96",
          "#SBATCH --signal=B:USR1@300", "#SBATCH --constraint=h200", "#SBATCH --exclude=n3,n9"}) {
      CAPTURE(line);
      CHECK(has_line(text, line));
    }
    CHECK(text.find("--exclusive") == std::string::npos);
  }

  TEST_CASE("an element of an array runs its own command, and there is no other") {
    auto script = some_script();
    script.commands = {{"/bin/echo", "first"}, {"/bin/echo", "it's $HOME"}};
    script.at_once = 1;
    const auto text = batch_script(script);
    CHECK(has_line(text, "#SBATCH --array=0-1%1"));
    CHECK(has_line(text, "#SBATCH --output=/runs/tiny/slurm-%A_%a.log"));
    const test::TemporaryDirectory folder;
    const auto run = [&](const char* element) {
      return test::Program({"sh", "-c", text}, folder.path(), {{"SLURM_ARRAY_TASK_ID", element}})
          .wait();
    };
    CHECK(run("0").output == "first\n");
    CHECK(run("1").output == "it's $HOME\n");
    CHECK(run("2").exit_code == 2);
  }

  TEST_CASE("a script without a command is refused") {
    auto script = some_script();
    script.commands.clear();
    CHECK_THROWS_AS(batch_script(script), std::invalid_argument);
  }
}
