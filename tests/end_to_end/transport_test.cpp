#include <doctest/doctest.h>

#include <string>

#include "tests/end_to_end/tiny_run.hpp"

using namespace fulgur;
using namespace fulgur::test;

TEST_SUITE("end_to_end/transport") {
  TEST_CASE("workers that share a GPU over UCX learn what processors learn") {
    const TinyRun on_gpu, on_processors;
    // Doctor knows, and this program needs no CUDA.
    if (!contains(on_gpu.fulgur({"doctor"}).output, "ok       GPU 0")) {
      MESSAGE("there is no GPU here");
      return;
    }
    const auto outcome = on_gpu.train({"device=cuda", "cluster.transport=ucx"});
    CAPTURE(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    REQUIRE(on_processors.train().exit_code == 0);
    const auto got = on_gpu.metrics(), expected = on_processors.metrics();
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      CAPTURE(i);
      CHECK(got[i].loss == doctest::Approx(expected[i].loss).epsilon(1e-4));
    }
  }

  TEST_CASE("between processors UCX is what auto means") {
    const TinyRun automatic, named;
    REQUIRE(automatic.train({"cluster.transport=auto"}).exit_code == 0);
    REQUIRE(named.train({"cluster.transport=ucx"}).exit_code == 0);
    check_same(automatic, named, 6);
  }

  TEST_CASE("the workers have the environment that the recipe gives them") {
    const auto errors_of_workers = [](const std::vector<std::string>& overrides) {
      const TinyRun run;
      const auto outcome = run.train(overrides);
      CAPTURE(outcome.errors);
      CHECK(outcome.exit_code == 0);
      std::string all;
      for (const auto& [name, text] : snapshot(run.directory() / "logs"))
        all += text;
      return all;
    };
    CHECK_FALSE(contains(errors_of_workers({}), "UCX  INFO"));
    CHECK(contains(errors_of_workers({"cluster.environment=[UCX_LOG_LEVEL=info]"}), "UCX  INFO"));
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
