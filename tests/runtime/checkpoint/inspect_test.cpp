#include "runtime/checkpoint/inspect.hpp"

#include <doctest/doctest.h>

#include "recipes/job_json.hpp"
#include "recipes/parameters.hpp"
#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using test::refusal;

Job small_job() {
  Job job{.name = "small"};
  job.model = {.vocabulary = 16,
               .layers = 2,
               .hidden = 8,
               .heads = 2,
               .kv_heads = 1,
               .head_dim = 4,
               .rotary_dim = 2,
               .softmax_every = 2,
               .experts = 2,
               .expert_hidden = 4};
  return job;
}

fs::path save_with_job(const fs::path& root, const std::string& job) {
  const auto staging = staging_folder(root, 9);
  auto manifest = test::write_shards(staging, 2, 9);
  manifest.job = job;
  return commit_checkpoint(root, staging, manifest, 3);
}

}  // namespace

TEST_SUITE("runtime/checkpoint/inspect") {
  TEST_CASE("a listing shows every checkpoint, with what is wrong with a broken one") {
    const test::TemporaryDirectory root;
    test::save(root.path(), 1);
    fs::remove(test::save(root.path(), 2) / "shard-00000.h5");
    const auto summaries = summarise_checkpoints(root.path());
    REQUIRE(summaries.size() == 2);
    CHECK(summaries[0].step == 1);
    CHECK(summaries[0].tokens == 64);
    CHECK(summaries[0].bytes > 4 * (420 + 13 + 13));
    CHECK(summaries[0].created.size() == 20);
    CHECK(summaries[0].problem.empty());
    CHECK(summaries[1].step == 2);
    CHECK(summaries[1].problem.find("shard-00000.h5: the file is missing") != std::string::npos);
  }

  TEST_CASE("the details of a checkpoint hold its job and the size of its model") {
    const test::TemporaryDirectory root;
    const auto job = small_job();
    const auto details = describe_checkpoint(save_with_job(root.path(), to_json(job)));
    CHECK(details.job == job);
    CHECK(details.parameters == total_parameters(job.model));
    CHECK(details.summary.step == 9);
    CHECK(details.manifest.shards.size() == 2);
  }

  TEST_CASE("a job that cannot be read is refused with the manifest") {
    const test::TemporaryDirectory root;
    const auto path = save_with_job(root.path(), "{}");
    CHECK(refusal([&] { describe_checkpoint(path); }).says("manifest.json: `job`: "));
  }

  TEST_CASE("a run directory, its checkpoints and one checkpoint all lead to a checkpoint") {
    const test::TemporaryDirectory run;
    const auto root = run.path() / "checkpoints";
    CHECK(refusal([&] { find_checkpoint(run.path()); }).says("no checkpoint"));
    CHECK(refusal([&] { find_checkpoint(root); }).says("no such folder"));
    const auto first = test::save(root, 1), second = test::save(root, 2);
    CHECK(find_checkpoint(run.path()) == second);
    CHECK(find_checkpoint(root) == second);
    CHECK(find_checkpoint(first) == first);
    CHECK(find_checkpoint_root(run.path()) == root);
  }
}

}  // namespace fulgur
