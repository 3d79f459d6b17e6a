#include "orchestrator/run/run_directory.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "tests/support/temporary_directory.hpp"

using namespace fulgur;

namespace {

std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_SUITE("orchestrator/run/run_directory") {
  TEST_CASE("one process has a run directory, and the second is told which") {
    const test::TemporaryDirectory folder;
    std::optional<RunDirectory> first(folder.path() / "a" / "run");
    CHECK_THROWS_WITH_AS(RunDirectory(folder.path() / "a" / "run"),
                         doctest::Contains(std::to_string(::getpid()).c_str()), InUseError);
    RunDirectory other(folder.path() / "a" / "other");
    first.reset();
    CHECK_NOTHROW(RunDirectory(folder.path() / "a" / "run"));
  }

  TEST_CASE("attempts are counted on") {
    const test::TemporaryDirectory folder;
    {
      RunDirectory run(folder.path());
      CHECK(run.attempt() == 0);
      run.begin_attempt();
      run.begin_attempt();
    }
    RunDirectory run(folder.path());
    run.begin_attempt();
    CHECK(run.attempt() == 3);
    CHECK(run.logs() == folder.path() / "logs" / "attempt-0003");
    CHECK(std::filesystem::is_directory(run.logs()));
  }

  TEST_CASE("what is set aside is still there") {
    const test::TemporaryDirectory folder;
    RunDirectory run(folder.path());
    run.begin_attempt();
    run.set_aside();
    CHECK_FALSE(std::filesystem::exists(folder.path() / "before-attempt-0002"));
    std::filesystem::create_directories(run.checkpoints() / "step-1");
    run.write("metrics.jsonl", "{}\n");
    run.set_aside();
    CHECK_FALSE(std::filesystem::exists(run.checkpoints()));
    CHECK(std::filesystem::exists(folder.path() / "before-attempt-0002/checkpoints/step-1"));
    CHECK(contents(folder.path() / "before-attempt-0002/metrics.jsonl") == "{}\n");
  }

  TEST_CASE("a file is replaced as a whole") {
    const test::TemporaryDirectory folder;
    const RunDirectory run(folder.path());
    run.write("run.json", "long text");
    run.write("run.json", "short");
    CHECK(contents(folder.path() / "run.json") == "short");
    CHECK_FALSE(std::filesystem::exists(folder.path() / "run.json.tmp"));
  }
}
