#include "orchestrator/submit/run_status.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "orchestrator/run/run_directory.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace fulgur;

TEST_SUITE("orchestrator/submit/run_status") {
  TEST_CASE(
      "a run is called what its process, the scheduler and its record make it, in this order") {
    CHECK(state_of("stopped", "PENDING", true) == "RUNNING");
    CHECK(state_of("stopped", "PENDING", false) == "PENDING");
    CHECK(state_of("running", "RUNNING", false) == "RUNNING");
    CHECK(state_of("complete", "COMPLETED", false) == "SUCCEEDED");
    CHECK(state_of("complete", "", false) == "SUCCEEDED");
    CHECK(state_of("stopped", "CANCELLED", false) == "STOPPED");
    CHECK(state_of("failed", "FAILED", false) == "FAILED");
    CHECK(state_of("running", "", false) == "LOST");
    CHECK(state_of("", "CANCELLED", false) == "CANCELLED");
    CHECK(state_of("", "FAILED", false) == "FAILED");
  }

  TEST_CASE("a directory tells its last step, and who holds it as long as it does") {
    const test::TemporaryDirectory folder;
    CHECK_THROWS_AS(run_status(folder.path()), std::invalid_argument);
    {
      RunDirectory directory(folder.path());
      directory.write(
          "run.json",
          R"({"name":"x","state":"running","attempt":3,"updated":"2026-01-31T08:00:00Z"})");
      std::ofstream(directory.metrics()) << R"({"step":1,"loss":5.5})"
                                         << "\n"
                                         << R"({"step":2,"loss":4.5})"
                                         << "\n"
                                         << R"({"step":3,"lo)";
      const auto status = run_status(folder.path());
      CHECK(status.name == "x");
      CHECK(status.attempt == 3);
      CHECK(status.step == 2);
      CHECK(status.loss == 4.5);
      CHECK(status.state == "RUNNING");
      CHECK(status.holder == ::getpid());
    }
    CHECK(run_status(folder.path()).state == "LOST");
    CHECK_FALSE(run_status(folder.path()).holder.has_value());
  }

  TEST_CASE("the runs below a folder are listed by name, and other folders are not") {
    const test::TemporaryDirectory folder;
    for (const auto* name : {"b", "a", "none"})
      std::filesystem::create_directory(folder.path() / name);
    for (const auto* name : {"b", "a"})
      std::ofstream(folder.path() / name / "run.json") << R"({"state":"complete"})";
    const auto runs = all_runs(folder.path());
    REQUIRE(runs.size() == 2);
    CHECK(runs[0].name == "a");
    CHECK(runs[1].name == "b");
  }
}
