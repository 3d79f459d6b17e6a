#include "orchestrator/run/checkpoint_space.hpp"

#include <doctest/doctest.h>

#include "recipes/parameters.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

Job job_of(std::int64_t keep) {
  Job job;
  job.model = {.vocabulary = 264,
               .layers = 2,
               .hidden = 64,
               .heads = 4,
               .kv_heads = 2,
               .head_dim = 16,
               .softmax_every = 2,
               .experts = 4,
               .experts_per_token = 2,
               .expert_hidden = 48};
  job.checkpoint.keep = keep;
  job.run_directory = "runs/x";
  return job;
}

}  // namespace

TEST_SUITE("orchestrator/checkpoint_space") {
  TEST_CASE("a parameter takes twelve bytes") {
    const auto job = job_of(2);
    CHECK(checkpoint_bytes(job) == 12 * total_parameters(job.model));
  }

  TEST_CASE("a disk must hold those that are kept and the next one, less those that are there") {
    const auto job = job_of(2);
    const auto bytes = checkpoint_bytes(job);
    CHECK_FALSE(checkpoint_space_warning(job, 0, 3 * bytes));
    const auto warning = checkpoint_space_warning(job, 0, 3 * bytes - 1);
    REQUIRE(warning);
    CHECK(warning->find("runs/x") != std::string::npos);
    CHECK(warning->find("3 checkpoints") != std::string::npos);
    CHECK_FALSE(checkpoint_space_warning(job, 2, bytes));
    CHECK(checkpoint_space_warning(job, 2, bytes - 1));
    CHECK_FALSE(checkpoint_space_warning(job, 5, 0));
  }

  TEST_CASE("a run directory that is not there yet is judged by the folder above it") {
    const test::TemporaryDirectory folder;
    auto job = job_of(2);
    job.run_directory = (folder.path() / "a" / "b").string();
    CHECK_FALSE(checkpoint_space_warning(job));
    job.checkpoint.keep = std::int64_t{1} << 50;
    CHECK(checkpoint_space_warning(job));
  }
}

}  // namespace fulgur
