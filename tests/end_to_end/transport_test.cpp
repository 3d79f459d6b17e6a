#include <doctest/doctest.h>

#include <string>

#include "tests/end_to_end/tiny_run.hpp"

using namespace fulgur;
using namespace fulgur::test;

TEST_SUITE("end_to_end/transport") {
  TEST_CASE("between processors UCX is what auto means") {
    const TinyRun automatic, named;
    REQUIRE(automatic.train({"cluster.transport=auto"}).exit_code == 0);
    REQUIRE(named.train({"cluster.transport=ucx"}).exit_code == 0);
    check_same(automatic, named, 6);
  }

  TEST_CASE("NCCL is refused where two workers have not a GPU each") {
    const TinyRun run;
    const auto on_processors = run.train({"cluster.transport=nccl"});
    CHECK(on_processors.exit_code == 78);
    CHECK(contains(on_processors.errors, "E0256"));
    // More workers than any machine has GPUs.
    const auto too_few = run.train({"cluster.transport=nccl", "device=auto", "layout.dp=16",
                                    "train.batch=16", "train.micro_batch=16"});
    CHECK(too_few.exit_code == 78);
    CHECK(contains(too_few.errors, "cluster.transport: nccl wants"));
    CHECK(contains(too_few.errors, "auto or ucx"));
    CHECK(run.checkpoints().empty());
  }
}
