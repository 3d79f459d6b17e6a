#include "recipes/dsl/suggest.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace fulgur {
namespace {

TEST_SUITE("recipes/dsl/suggest") {
  TEST_CASE("the distance counts insertions, deletions, replacements and swaps of neighbours") {
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("batch", "batch") == 0);
    CHECK(edit_distance("bacth", "batch") == 1);
    CHECK(edit_distance("abtch", "batch") == 1);
    CHECK(edit_distance("btch", "batch") == 1);
    CHECK(edit_distance("patch", "batch") == 1);
    CHECK(edit_distance("ca", "abc") == 3);  // no letter is touched twice
    CHECK(edit_distance("kitten", "sitting") == 3);
  }

  TEST_CASE("the distance is symmetric and at most the longer length") {
    const std::vector<std::string> words = {"dp", "pp", "batch", "bacth", "hidden", "hiden", ""};
    for (const auto& a : words) {
      for (const auto& b : words) {
        CAPTURE(a);
        CAPTURE(b);
        CHECK(edit_distance(a, b) == edit_distance(b, a));
        const int longer = static_cast<int>(std::max(a.size(), b.size()));
        CHECK(edit_distance(a, b) <= longer);
      }
    }
  }

  TEST_CASE("the nearest within two edits is found, and a word far from all has none") {
    const std::vector<std::string> keys = {"steps", "batch", "micro_batch", "dp"};
    CHECK(nearest("bacth", keys) == "batch");
    CHECK(nearest("stepz", keys) == "steps");
    CHECK(nearest("microbatch", keys) == "micro_batch");
    CHECK(nearest("banana", keys).empty());
    CHECK(nearest("xy", keys).empty());  // two edits would leave nothing of dp
    CHECK(nearest(std::string(100000, 'b'), keys).empty());
  }

  TEST_CASE("a key of another section is pointed out") {
    CHECK(suggest_key("train", "weight_decay").starts_with("this key exists under `optimizer`"));
    CHECK(suggest_key("", "peak").starts_with("this key exists under `optimizer.learning_rate`"));
    CHECK(suggest_key("train", "learning_rate").starts_with("this key exists under `optimizer`"));
    CHECK(suggest_key("model", "device").starts_with("this key exists at the top"));
    CHECK(suggest_key("train", "bacth").starts_with("did you mean `batch`?"));
    CHECK(suggest_key("layout", "banana") == "keys here: pp, dp, cp, tp, ep, etp");
  }
}

}  // namespace
}  // namespace fulgur
