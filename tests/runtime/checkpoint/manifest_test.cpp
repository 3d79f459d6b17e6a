#include "runtime/checkpoint/manifest.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <limits>

#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"

namespace fulgur {
namespace {

using test::refusal;
using Kind = CheckpointError::Kind;

const std::string kHash(32, 'a');

// Two tensors in two shards: columns of the first, and all of the second in one.
Manifest small_manifest() {
  Manifest manifest{
      .step = 12,
      .created = "2026-01-31T12:00:00Z",
      .job = "{\"name\":\"x\"}",
      .identity_hash = "beef",
      .tokens = 56,
      .data = {.anchor = 8, .sources = {{"web", "cafe", 40, 6}, {"code", "beef", 16, 2}}}};
  manifest.tensors = {{"model/a", {2, 5}}, {"model/b", {3}}};
  manifest.shards = {
      {"shard-00000.h5",
       4096,
       kHash,
       {{"model/a", {{0, 0}, {2, 3}}, "model", 0, kHash},
        {"model/b", {{0}, {3}}, "model", 6, kHash}}},
      {"shard-00001.h5", 4096, kHash, {{"model/a", {{0, 3}, {2, 2}}, "model", 0, kHash}}}};
  manifest.index = {"index.h5", 800, kHash, {}};
  return manifest;
}

std::string check(const std::function<void(Manifest&)>& change) {
  auto manifest = small_manifest();
  change(manifest);
  const auto refused = refusal([&] { check_manifest(manifest, "m.json"); });
  CHECK(refused.kind == Kind::kInvalid);
  CHECK(refused.says("m.json: "));
  return refused.message;
}

}  // namespace

TEST_SUITE("runtime/checkpoint/manifest") {
  TEST_CASE("a cursor of the data that cannot be is refused") {
    check([](Manifest& m) { m.data.anchor = 57; });
    check([](Manifest& m) { m.data.anchor = -1; });
    check([](Manifest& m) { m.data.sources[0].at_anchor = 41; });
    check([](Manifest& m) { m.data.sources[1].at_anchor = -1; });
    check([](Manifest& m) { m.data.sources[1].name = "web"; });
  }

  TEST_CASE("a manifest reads back as it was written") {
    const auto manifest = small_manifest();
    const auto text = to_json(manifest);
    const auto back = manifest_from_json(text, "m.json");
    CHECK(to_json(back) == text);
    CHECK(back.step == 12);
    CHECK(back.job == manifest.job);
    CHECK(back.data == manifest.data);
    CHECK(back.tensors[0].shape == manifest.tensors[0].shape);
    CHECK(back.shards[1].pieces[0].box == Box{{0, 3}, {2, 2}});
    CHECK(back.shards[0].pieces[1].offset == 6);
    CHECK_NOTHROW(check_manifest(back, "m.json"));
  }

  TEST_CASE("another format is refused by its number") {
    auto manifest = small_manifest();
    manifest.format = kCheckpointFormat + 1;
    const auto refused = refusal([&] { manifest_from_json(to_json(manifest), "m.json"); });
    CHECK(refused.kind == Kind::kInvalid);
    CHECK(refused.says("format 4 is newer"));
    manifest.format = 1;
    CHECK(refusal([&] {
            manifest_from_json(to_json(manifest), "m.json");
          }).says("format 1 is unknown: this program reads format 3"));
  }

  TEST_CASE("a text that is no manifest is refused by key or as no JSON") {
    CHECK(refusal([] { manifest_from_json("{", "m.json"); }).says("not JSON"));
    CHECK(refusal([] { manifest_from_json("[]", "m.json"); }).says("expected a JSON object"));
    CHECK(
        refusal([] { manifest_from_json("{}", "m.json"); }).says("`format`: expected an integer"));
    auto text = to_json(small_manifest());
    text.replace(text.find("\"step\":12"), 9, "\"step\":1.5");
    CHECK(refusal([&] { manifest_from_json(text, "m.json"); }).says("`step`: expected an integer"));
    text = to_json(small_manifest());
    text.replace(text.find("\"start\":[0,0]"), 13, "\"start\":[0,\"\"]");
    CHECK(refusal([&] {
            manifest_from_json(text, "m.json");
          }).says("`start`: expected a list of integers"));
    const auto deep = std::string(100, '[') + std::string(100, ']');
    CHECK(refusal([&] { manifest_from_json(deep, "m.json"); }).says("not JSON"));
  }

  TEST_CASE("names that lead out of the folder or the file are refused") {
    CHECK(check([](Manifest& m) {
            m.shards[0].file = "../shard-00000.h5";
          }).find("no name of a shard") != std::string::npos);
    CHECK(check([](Manifest& m) { m.shards[0].pieces[0].dataset = "a/../b"; }).find("plain name") !=
          std::string::npos);
    CHECK(check([](Manifest& m) { m.tensors[1].name = "model/.."; }).find("kind/name") !=
          std::string::npos);
  }

  TEST_CASE("impossible shapes, boxes and offsets are refused") {
    const auto big = std::int64_t{1} << 40;
    CHECK(check([&](Manifest& m) {
            m.tensors[0].shape = {big, big};
          }).find("impossible shape") != std::string::npos);
    CHECK(check([](Manifest& m) {
            m.tensors[0].shape = {2, 0};
          }).find("impossible shape") != std::string::npos);
    for (const Box& box : {Box{{0, 3}, {2, 3}}, Box{{0, -1}, {2, 2}}, Box{{0, 3}, {2, 0}},
                           Box{{0, 5}, {2, 1}}, Box{{0}, {2}}, Box{{0, 3}, {2}}, Box{},
                           Box{{0, 3}, {2, std::numeric_limits<std::int64_t>::max()}}}) {
      const auto message = check([&](Manifest& m) { m.shards[1].pieces[0].box = box; });
      CHECK(message.find(
                "shard-00001.h5: tensor `model/a`: expected a box inside the shape [2, 5]") !=
            std::string::npos);
    }
    CHECK(check([](Manifest& m) { m.shards[1].pieces[0].offset = -1; }).find("offset -1") !=
          std::string::npos);
  }
}

}  // namespace fulgur
