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
}
