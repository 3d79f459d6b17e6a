#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <string>

#include "tests/end_to_end/tiny_run.hpp"

using namespace fulgur::test;

namespace json = boost::json;

namespace {

json::object entry(const Outcome& outcome, const std::string& topic) {
  const auto whole = json::parse(outcome.output);
  for (const auto& each : whole.at("observations").as_array()) {
    if (each.at("topic").as_string() == topic) return each.as_object();
  }
  FAIL("nothing is said of " << topic);
  return {};
}

}  // namespace

TEST_SUITE("end_to_end/doctor") {
  TEST_CASE("doctor finds the libraries that the tests themselves use") {
    const TinyRun run;
    const auto outcome = run.fulgur({"doctor", "--json"});
    CAPTURE(outcome.errors);
    CAPTURE(outcome.output);
    CHECK(outcome.exit_code == 0);
    CHECK(json::parse(outcome.output).at("can_run").as_bool());
    for (const auto* topic : {"UCX", "HDF5", "BLAS", "cores", "memory", "run directories"})
      CHECK(entry(outcome, topic).at("verdict").as_string() != "missing");
    CHECK(contains(std::string(entry(outcome, "BLAS").at("found").as_string()), "OpenBLAS"));
    CHECK(std::string(entry(outcome, "UCX lanes").at("found").as_string()).find('/') !=
          std::string::npos);
    CHECK_FALSE(std::filesystem::exists(run.folder() / "runs"));
  }

  TEST_CASE("doctor says what to do where nobody may write, and exits with 1") {
    const TinyRun run;
    const auto outcome = run.fulgur({"doctor", "--runs", "/proc/nowhere"});
    CHECK(outcome.exit_code == 1);
    CHECK(contains(outcome.output, "missing  run directories"));
    CHECK(contains(outcome.output, "-> "));
    CHECK(contains(outcome.output, "something is missing"));
  }
}
