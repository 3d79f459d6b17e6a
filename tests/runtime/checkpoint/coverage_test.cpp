#include "runtime/checkpoint/coverage.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/runtime/checkpoint/random_boxes.hpp"

namespace fulgur {
namespace {

using test::refusal;
using Shape = std::vector<std::int64_t>;

// One tensor, one box per shard.
Manifest manifest_of(const Shape& shape, const std::vector<Box>& boxes) {
  Manifest manifest;
  manifest.tensors = {{"model/a", shape}};
  for (const auto& box : boxes)
    manifest.shards.push_back({fmt::format("shard-{:05}.h5", manifest.shards.size()),
                               0,
                               {},
                               {{"model/a", box, "model", 0, {}}}});
  return manifest;
}

std::string check(const Shape& shape, const std::vector<Box>& boxes) {
  const auto manifest = manifest_of(shape, boxes);
  const auto refused = refusal([&] { check_coverage(manifest, "m.json"); });
  CHECK(refused.kind == CheckpointError::Kind::kInvalid);
  return refused.message;
}

// How often each element is in the boxes.
std::vector<int> counts(const Shape& shape, const std::vector<Box>& boxes) {
  std::vector<float> flat(static_cast<std::size_t>(whole_box(shape).elements()));
  std::iota(flat.begin(), flat.end(), 0.0F);
  std::vector<int> found(flat.size());
  for (const auto& box : boxes) {
    for (const auto element : test::values_in(shape, box, flat))
      ++found[static_cast<std::size_t>(element)];
  }
  return found;
}

}  // namespace

TEST_SUITE("runtime/checkpoint/coverage") {
  TEST_CASE("a gap is named with its tensor and the first box of it") {
    CHECK(check({10}, {{{0}, {4}}, {{6}, {4}}}) ==
          "m.json: tensor `model/a`: the elements [4:6] are in no shard");
    CHECK(check({10}, {{{0}, {4}}}) ==
          "m.json: tensor `model/a`: the elements [4:10] are in no shard");
    CHECK(check({2, 3}, {}) == "m.json: tensor `model/a`: the elements [0:2, 0:3] are in no shard");
    CHECK(check({4, 6}, {{{0, 0}, {4, 2}}, {{0, 2}, {1, 4}}, {{1, 5}, {3, 1}}}) ==
          "m.json: tensor `model/a`: the elements [1:4, 2:5] are in no shard");
    CHECK(check({2, 2, 3},
                {{{0, 0, 0}, {2, 1, 3}}, {{0, 1, 0}, {2, 1, 1}}, {{1, 1, 1}, {1, 1, 2}}}) ==
          "m.json: tensor `model/a`: the elements [0:1, 1:2, 1:3] are in no shard");
  }

  TEST_CASE("elements that are there twice are named with both shards") {
    CHECK(
        check({10}, {{{3}, {7}}, {{0}, {4}}}) ==
        "m.json: tensor `model/a`: the elements [3:4] are in shard-00000.h5 and in shard-00001.h5");
    // As many elements as the tensor has: only looking at the places finds it.
    CHECK(check({4, 4}, {{{0, 0}, {4, 2}}, {{0, 1}, {4, 2}}}) ==
          "m.json: tensor `model/a`: the elements [0:4, 1:2] are in shard-00000.h5 and in "
          "shard-00001.h5");
    CHECK(check({4, 4}, {{{0, 0}, {2, 4}}, {{2, 0}, {2, 4}}, {{1, 3}, {2, 1}}}) ==
          "m.json: tensor `model/a`: the elements [1:2, 3:4] are in shard-00000.h5 and in "
          "shard-00002.h5");
  }

  TEST_CASE("each tensor is looked at by itself") {
    auto manifest = manifest_of({2, 2}, {whole_box(Shape{2, 2})});
    manifest.tensors.push_back({"exp_avg/a", {3}});
    CHECK(refusal([&] {
            check_coverage(manifest, "m.json");
          }).says("tensor `exp_avg/a`: the elements [0:3] are in no shard"));
    manifest.shards[0].pieces.push_back({"exp_avg/a", {{0}, {3}}, "exp_avg", 0, {}});
    CHECK_NOTHROW(check_coverage(manifest, "m.json"));
  }

  TEST_CASE("random boxes pass exactly when every element is in one of them") {
    std::mt19937 random(11);
    int sound = 0, gaps = 0, doubles = 0;
    for (int i = 0; i < 1500; ++i) {
      CAPTURE(i);
      const auto shape = test::random_shape(random, 7);
      auto boxes = test::random_partition(random, shape, 12);
      const auto change = test::below(random, 4);
      auto& box = boxes[test::below(random, boxes.size())];
      if (change == 1) box = test::random_box(random, shape);
      if (change == 2) boxes.erase(boxes.begin());
      if (change == 3) boxes.push_back(test::random_box(random, shape));
      const auto found = counts(shape, boxes);
      const auto manifest = manifest_of(shape, boxes);
      if (std::all_of(found.begin(), found.end(), [](int n) { return n == 1; })) {
        REQUIRE_NOTHROW(check_coverage(manifest, "m.json"));
        ++sound;
        continue;
      }
      const auto refused = refusal([&] { check_coverage(manifest, "m.json"); });
      if (std::any_of(found.begin(), found.end(), [](int n) { return n > 1; })) {
        REQUIRE(refused.says(".h5 and in shard-"));
        ++doubles;
        continue;
      }
      // The named box begins at the first missing element, and all of it is missing.
      const auto first = std::find(found.begin(), found.end(), 0) - found.begin();
      const auto gap = test::box_in(refused.message);
      std::vector<Box> more{gap};
      more.insert(more.end(), boxes.begin(), boxes.end());
      const auto filled = counts(shape, more), alone = counts(shape, {gap});
      REQUIRE(std::find(alone.begin(), alone.end(), 1) - alone.begin() == first);
      REQUIRE(*std::max_element(filled.begin(), filled.end()) == 1);
      ++gaps;
    }
    CHECK(sound > 300);
    CHECK(gaps > 100);
    CHECK(doubles > 300);
  }

  TEST_CASE("thousands of boxes side by side in any dim are told apart") {
    for (std::size_t dim = 0; dim < 3; ++dim) {
      CAPTURE(dim);
      Shape shape{3, 3, 3};
      shape[dim] = 20000;
      std::vector<Box> boxes;
      for (std::int64_t at = 0; at < 20000; at += 2) {
        auto box = whole_box(shape);
        box.start[dim] = at;
        box.count[dim] = 2;
        boxes.push_back(box);
      }
      CHECK_NOTHROW(check_coverage(manifest_of(shape, boxes), "m.json"));
      boxes[7000].start[dim] -= 1;
      const auto message = check(shape, boxes);
      CHECK(message.find("are in shard-06999.h5 and in shard-07000.h5") != std::string::npos);
      boxes.erase(boxes.begin() + 7000);
      CHECK(test::box_in(check(shape, boxes)).start[dim] == 14000);
    }
  }
}

}  // namespace fulgur
