#include "orchestrator/coordinator/shard_collector.hpp"

#include <doctest/doctest.h>

using namespace fulgur;

namespace {

Manifest manifest_of(std::int64_t step, const char* file) {
  Manifest manifest;
  manifest.step = step;
  manifest.shards.emplace_back();
  manifest.shards.back().file = file;
  return manifest;
}

}  // namespace

TEST_SUITE("orchestrator/coordinator/shard_collector") {
  TEST_CASE("the manifest is whole when all ranks have written, with shards in rank order") {
    ShardCollector collector(3);
    CHECK_FALSE(collector.written(5, 2, manifest_of(5, "c")));
    CHECK_FALSE(collector.written(5, 0, manifest_of(5, "a")));
    const auto complete = collector.written(5, 1, manifest_of(5, "b"));
    REQUIRE(complete);
    CHECK(complete->failures.empty());
    REQUIRE(complete->manifest.shards.size() == 3);
    CHECK(complete->manifest.shards[0].file == "a");
    CHECK(complete->manifest.shards[1].file == "b");
    CHECK(complete->manifest.shards[2].file == "c");
  }

  TEST_CASE("two checkpoints on their way do not mix") {
    ShardCollector collector(2);
    CHECK_FALSE(collector.written(5, 0, manifest_of(5, "a5")));
    CHECK_FALSE(collector.written(6, 0, manifest_of(6, "a6")));
    const auto later = collector.written(6, 1, manifest_of(6, "b6"));
    REQUIRE(later);
    CHECK(later->step == 6);
    CHECK(later->manifest.shards[0].file == "a6");
    CHECK(collector.written(5, 1, manifest_of(5, "b5")));
  }

  TEST_CASE("one failed shard drops the checkpoint, once every rank has answered") {
    ShardCollector collector(2);
    CHECK_FALSE(collector.failed(5, 1, "no space"));
    const auto complete = collector.written(5, 0, manifest_of(5, "a"));
    REQUIRE(complete);
    REQUIRE(complete->failures.size() == 1);
    CHECK(complete->failures[0] == "rank 1: no space");
  }

  TEST_CASE("a manifest of another step, or of several shards, is a failure") {
    ShardCollector other(1);
    CHECK(other.written(5, 0, manifest_of(6, "a"))->failures.size() == 1);
    auto two = manifest_of(5, "a");
    two.shards.push_back(two.shards.front());
    ShardCollector several(1);
    CHECK(several.written(5, 0, two)->failures.size() == 1);
  }
}
