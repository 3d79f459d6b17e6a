#include <doctest/doctest.h>

#include "tests/end_to_end/tiny_run.hpp"

using namespace fulgur::test;

namespace {

Outcome generate(const TinyRun& run, const std::string& seed) {
  return run.fulgur(
      {"generate", "run", "--prompt", "The square", "--tokens", "30", "--seed", seed});
}

}  // namespace

TEST_SUITE("end_to_end/generate") {
  TEST_CASE("generate goes on with the prompt, and only the seed decides how") {
    const TinyRun run;
    REQUIRE(run.train().exit_code == 0);
    const auto first = generate(run, "1");
    INFO(first.errors);
    CHECK(first.exit_code == 0);
    CHECK(first.errors.empty());
    CHECK(first.output.starts_with("The square"));
    CHECK(first.output.size() > std::string("The square\n").size());
    CHECK(generate(run, "1").output == first.output);
    CHECK(generate(run, "2").output != first.output);
    CHECK(all_gone(run));
  }

  TEST_CASE("generate without a run or a checkpoint says what is missing") {
    const TinyRun run;
    const auto missing = run.fulgur({"generate", "no_such_run", "--prompt", "The"});
    CHECK(missing.exit_code == 65);
    CHECK(contains(missing.errors, "no_such_run"));
    std::filesystem::create_directory(run.directory());
    const auto empty = run.fulgur({"generate", "run", "--prompt", "The"});
    CHECK(empty.exit_code == 65);
    CHECK(contains(empty.errors, "run"));
  }
}
