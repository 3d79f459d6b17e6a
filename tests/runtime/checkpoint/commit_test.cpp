#include <doctest/doctest.h>

#include <chrono>
#include <ctime>
#include <stdexcept>
#include <thread>

#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using test::refusal;
using test::save;
using Kind = CheckpointError::Kind;

std::vector<std::int64_t> steps(const fs::path& root) {
  std::vector<std::int64_t> found;
  for (const auto& info : list_checkpoints(root))
    found.push_back(info.step);
  return found;
}

using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_SUITE("runtime/checkpoint/commit") {
  TEST_CASE("a commit is a folder named after its step, and the hint names it") {
    const test::TemporaryDirectory root;
    const auto path = save(root.path(), 100);
    CHECK(path == root.path() / "step-0000000100");
    CHECK(test::read_file(root.path() / "latest") == "step-0000000100\n");
    for (const char* file : {"manifest.json", "manifest.json.sha256", "index.h5", "shard-00000.h5",
                             "shard-00001.h5", "shard-00002.h5"}) {
      CAPTURE(file);
      CHECK(fs::exists(path / file));
    }
    CHECK(!fs::exists(staging_folder(root.path(), 100)));
    CHECK(verify_checkpoint(path).empty());
    CHECK(test::holds(path, 100));
  }

  TEST_CASE("equal runs write equal shards and an equal index, whatever the time") {
    const test::TemporaryDirectory first, second;
    const auto one = save(first.path(), 100);
    const auto written = std::time(nullptr);
    while (std::time(nullptr) == written)  // HDF5 would store times in seconds
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const auto two = save(second.path(), 100);
    for (const char* file : {"index.h5", "shard-00000.h5", "shard-00001.h5", "shard-00002.h5"}) {
      CAPTURE(file);
      const bool equal = test::read_file(one / file) == test::read_file(two / file);
      CHECK(equal);
    }
  }

  TEST_CASE("a checkpoint that does not cover its tensors is not committed") {
    const test::TemporaryDirectory root;
    const auto staging = staging_folder(root.path(), 5);
    auto manifest = test::write_shards(staging, 2, 5);
    manifest.shards.pop_back();
    const auto refused = refusal([&] { commit_checkpoint(root.path(), staging, manifest, 2); });
    CHECK(refused.kind == Kind::kInvalid);
    CHECK(refused.says(
        "tensor `model/layers.0.attention.qkv`: the elements [2:4, 0:3, 0:5, 0:7] are in no"));
    CHECK(list_checkpoints(root.path()).empty());
  }

  TEST_CASE("a shard that is missing or has another size is not committed") {
    const test::TemporaryDirectory root;
    const auto staging = staging_folder(root.path(), 5);
    const auto manifest = test::write_shards(staging, 2, 5);
    fs::resize_file(staging / "shard-00001.h5", 100);
    CHECK(refusal([&] { commit_checkpoint(root.path(), staging, manifest, 2); }).says("got 100"));
    fs::remove(staging / "shard-00001.h5");
    CHECK(refusal([&] { commit_checkpoint(root.path(), staging, manifest, 2); }).says("missing"));
    CHECK(list_checkpoints(root.path()).empty());
  }

  TEST_CASE("shards of an earlier attempt with more ranks do not get into the checkpoint") {
    const test::TemporaryDirectory root;
    const auto staging = staging_folder(root.path(), 5);
    test::write_shards(staging, 4, 5);
    const auto path = commit_checkpoint(root.path(), staging, test::write_shards(staging, 2, 5), 2);
    CHECK(!fs::exists(path / "shard-00003.h5"));
    CHECK(verify_checkpoint(path).empty());
  }

  TEST_CASE("a checkpoint of the same step is replaced as a whole") {
    const test::TemporaryDirectory root;
    save(root.path(), 7, 4);
    const auto path = save(root.path(), 7, 2);
    CHECK(steps(root.path()) == Steps{7});
    CHECK(!fs::exists(path / "shard-00003.h5"));
    CHECK(test::holds(path, 7));
    CHECK(remove_leftovers(root.path()).empty());
  }

  TEST_CASE(
      "the newest `keep` checkpoints stay, and nothing that is not older than the new one goes") {
    const test::TemporaryDirectory root;
    for (const std::int64_t step : {10, 20, 30, 40})
      save(root.path(), step, 1, 2);
    CHECK(steps(root.path()) == Steps{30, 40});
    save(root.path(), 35, 1, 1);
    CHECK(steps(root.path()) == Steps{35, 40});
    CHECK_THROWS_AS(save(root.path(), 50, 1, 0), std::invalid_argument);
  }

  TEST_CASE("a checkpoint that does not open is no reason to remove one that does") {
    const test::TemporaryDirectory root;
    save(root.path(), 10);
    const auto broken = save(root.path(), 20);
    fs::remove(broken / "manifest.json");
    save(root.path(), 30, 1, 2);
    CHECK(steps(root.path()) == Steps{10, 20, 30});
    save(root.path(), 40, 1, 2);
    CHECK(steps(root.path()) == Steps{30, 40});
  }

  TEST_CASE("a commit that was interrupted leaves the older checkpoint to be found") {
    const test::TemporaryDirectory root;
    save(root.path(), 10);
    test::write_shards(staging_folder(root.path(), 20), 3, 20);
    std::vector<std::string> skipped;
    const auto newest = newest_valid_checkpoint(root.path(), skipped);
    REQUIRE(newest);
    CHECK(newest->step == 10);
    CHECK(skipped.empty());
    CHECK(remove_leftovers(root.path()) == std::vector<std::string>{".tmp-step-0000000020"});
    CHECK(!fs::exists(staging_folder(root.path(), 20)));
    CHECK(steps(root.path()) == Steps{10});
  }

  TEST_CASE("a checkpoint that was being replaced goes back to its place") {
    const test::TemporaryDirectory root;
    const auto path = save(root.path(), 10);
    fs::rename(path, root.path() / ".tmp-replaced-step-0000000010");
    CHECK(remove_leftovers(root.path()).empty());
    CHECK(test::holds(path, 10));
  }

  TEST_CASE("only folders that are named after a step are checkpoints") {
    const test::TemporaryDirectory root;
    CHECK(list_checkpoints(root.path() / "missing").empty());
    save(root.path(), 3);
    for (const char* name : {"step-12", "step-00000000x1", "other", "step-"})
      fs::create_directory(root.path() / name);
    test::write_file(root.path() / "step-0000000009", "a file");
    fs::create_directory_symlink(root.path() / "step-0000000003", root.path() / "step-0000000008");
    CHECK(steps(root.path()) == Steps{3});
  }

  TEST_CASE("the newest sound checkpoint is found behind damaged ones") {
    const test::TemporaryDirectory root;
    save(root.path(), 1);
    const auto second = save(root.path(), 2), third = save(root.path(), 3);
    const auto fourth = save(root.path(), 4);
    auto shard = test::read_file(third / "shard-00001.h5");
    shard[shard.size() - 3] ^= 4;
    test::write_file(third / "shard-00001.h5", shard);
    fs::remove(fourth / "shard-00002.h5");
    fs::remove(second / "index.h5");
    std::vector<std::string> skipped;
    const auto newest = newest_valid_checkpoint(root.path(), skipped);
    REQUIRE(newest);
    CHECK(newest->path == second);
    REQUIRE(skipped.size() == 2);
    CHECK(skipped[0].find("step-0000000004/shard-00002.h5: the file is missing") !=
          std::string::npos);
    CHECK(skipped[1].find("step-0000000003/shard-00001.h5: the file is damaged") !=
          std::string::npos);
    CHECK(verify_checkpoint(second).size() == 1);  // without its index it is not whole
  }
}

}  // namespace fulgur
