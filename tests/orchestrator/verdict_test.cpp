#include "orchestrator/coordinator/verdict.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/temporary_directory.hpp"

using namespace fulgur;
using Lines = std::vector<std::string>;

TEST_SUITE("orchestrator/coordinator/verdict") {
  TEST_CASE("the last lines of a file are its last lines, however long it is") {
    const test::TemporaryDirectory folder;
    const auto path = folder.path() / "log";
    CHECK(last_lines(path, 10).empty());
    std::ofstream(path) << "one\ntwo\nthree without an end";
    CHECK(last_lines(path, 2) == Lines{"two", "three without an end"});
    CHECK(last_lines(path, 10).size() == 3);
    std::ofstream(path) << std::string(100000, 'x') << "\nlast\n";
    CHECK(last_lines(path, 2) == Lines{"last"});
  }

  TEST_CASE("a run that would fail again is not advised to go on") {
    RunResult result;
    result.state = initial_state(1, {});
    result.state.workers[0].failure = Failed{"diverged", "step 5: loss nan"};
    result.state.cause = Cause{.kind = Cause::Kind::kFailed, .rank = 0};
    result.workers.resize(1);
    result.exit_code = 93;
    const auto text = explain(result, "again");
    CHECK(text.find("step 5: loss nan") != std::string::npos);
    CHECK(text.find("again") == std::string::npos);
    CHECK(text.find("fail the same way") != std::string::npos);
  }

  TEST_CASE(
      "of a hang it says who has not entered which collective, and who has waited for how long") {
    RunResult result;
    auto& state = result.state;
    state = initial_state(4, {});
    state.cause = Cause{.kind = Cause::Kind::kHung, .rank = 2};
    state.cause_at = TimePoint{std::chrono::seconds(100)};
    for (auto& worker : state.workers) {
      worker.joined = true;  // and has ended since
      worker.section = "step 12";
      worker.collective = "all_gather #12 (layer 3) of group cp: started";
      worker.waiting = {.group = "cp", .number = 12, .since = TimePoint{std::chrono::seconds(58)}};
      worker.groups["cp"] = 12;
    }
    state.workers[2].collective.clear();
    state.workers[2].waiting = {};
    state.workers[2].groups["cp"] = 11;
    result.workers.resize(4);
    result.workers[2].pid = 77;
    result.exit_code = 1;
    const auto text = explain(result, "fulgur train r.yaml");
    CHECK(text.find("rank 2 (pid 77") != std::string::npos);
    CHECK(text.find("has hung") != std::string::npos);
    CHECK(
        text.find("rank 2 has not entered all_gather #12 (layer 3) of group cp; ranks 0, 1, 3 have "
                  "waited 42 s\n") != std::string::npos);
    CHECK(text.find("    rank 2: step 12; in no collective\n") != std::string::npos);
    CHECK(
        text.find("    ranks 0, 1, 3: step 12; all_gather #12 (layer 3) of group cp: started\n") !=
        std::string::npos);
    CHECK(text.ends_with("fulgur train r.yaml\n"));
  }
}
