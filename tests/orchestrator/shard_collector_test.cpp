#include "orchestrator/coordinator/shard_collector.hpp"

#include <doctest/doctest.h>

using namespace fulgur;

TEST_SUITE("orchestrator/coordinator/shard_collector") {
  TEST_CASE("a checkpoint is whole when all ranks have written, with the notes in rank order") {
    ShardCollector collector(3);
    CHECK_FALSE(collector.written(5, 2, "c"));
    CHECK_FALSE(collector.written(5, 0, "a"));
    const auto complete = collector.written(5, 1, "b");
    REQUIRE(complete);
    CHECK(complete->failures.empty());
    CHECK(complete->notes == std::vector<std::string>{"a", "b", "c"});
  }

  TEST_CASE("two checkpoints on their way do not mix") {
    ShardCollector collector(2);
    CHECK_FALSE(collector.written(5, 0, "a5"));
    CHECK_FALSE(collector.written(6, 0, "a6"));
    const auto later = collector.written(6, 1, "b6");
    REQUIRE(later);
    CHECK(later->step == 6);
    CHECK(later->notes == std::vector<std::string>{"a6", "b6"});
    CHECK(collector.written(5, 1, "b5"));
  }

  TEST_CASE("one failed shard drops the checkpoint, once every rank has answered") {
    ShardCollector collector(2);
    CHECK_FALSE(collector.failed(5, 1, "no space"));
    const auto complete = collector.written(5, 0, "a");
    REQUIRE(complete);
    REQUIRE(complete->failures.size() == 1);
    CHECK(complete->failures[0] == "rank 1: no space");
  }
}
