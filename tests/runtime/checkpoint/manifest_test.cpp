#include "runtime/checkpoint/manifest.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "runtime/checkpoint/coverage.hpp"
#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"

namespace fulgur {
namespace {

using test::refusal;
using Kind = CheckpointError::Kind;

const std::string kHash(32, 'a');

// Two tensors in two shards.
Manifest small_manifest() {
  Manifest manifest{.step = 12,
                    .created = "2026-01-31T12:00:00Z",
                    .job = "{\"name\":\"x\"}",
                    .identity_hash = "beef",
                    .samples = 34,
                    .tokens = 56,
                    .data_fingerprint = "cafe"};
  manifest.tensors = {{"model/a", {2, 5}}, {"model/b", {3}}};
  manifest.shards = {{"shard-00000.h5",
                      4096,
                      kHash,
                      {{"model/a", 0, 4, "model", 0, kHash}, {"model/b", 0, 3, "model", 4, kHash}}},
                     {"shard-00001.h5", 4096, kHash, {{"model/a", 4, 10, "model", 0, kHash}}}};
  manifest.index = {"index.h5", 800, kHash, {}};
  return manifest;
}

std::string check(const std::function<void(Manifest&)>& change) {
  auto manifest = small_manifest();
  change(manifest);
  const auto refused = refusal([&] {
    check_manifest(manifest, "m.json");
    check_coverage(manifest, "m.json");
  });
  CHECK(refused.kind == Kind::kInvalid);
  CHECK(refused.says("m.json: "));
  return refused.message;
}

}  // namespace

TEST_SUITE("runtime/checkpoint/manifest") {
  TEST_CASE("a manifest reads back as it was written") {
    const auto manifest = small_manifest();
    const auto text = to_json(manifest);
    const auto back = manifest_from_json(text, "m.json");
    CHECK(to_json(back) == text);
    CHECK(back.step == 12);
    CHECK(back.job == manifest.job);
    CHECK(back.tensors[0].shape == manifest.tensors[0].shape);
    CHECK(back.shards[1].pieces[0].begin == 4);
    CHECK(back.shards[0].pieces[1].offset == 4);
    CHECK_NOTHROW(check_manifest(back, "m.json"));
    CHECK_NOTHROW(check_coverage(back, "m.json"));
  }

  TEST_CASE("a newer format is refused by its number") {
    auto manifest = small_manifest();
    manifest.format = 2;
    const auto refused = refusal([&] { manifest_from_json(to_json(manifest), "m.json"); });
    CHECK(refused.kind == Kind::kInvalid);
    CHECK(refused.says("format 2 is newer"));
  }

  TEST_CASE("a text that is no manifest is refused by key or as no JSON") {
    CHECK(refusal([] { manifest_from_json("{", "m.json"); }).says("not JSON"));
    CHECK(refusal([] { manifest_from_json("[]", "m.json"); }).says("expected a JSON object"));
    CHECK(
        refusal([] { manifest_from_json("{}", "m.json"); }).says("`format`: expected an integer"));
    auto text = to_json(small_manifest());
    text.replace(text.find("\"step\":12"), 9, "\"step\":1.5");
    CHECK(refusal([&] { manifest_from_json(text, "m.json"); }).says("`step`: expected an integer"));
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

  TEST_CASE("impossible shapes, ranges and offsets are refused") {
    const auto big = std::int64_t{1} << 40;
    CHECK(check([&](Manifest& m) {
            m.tensors[0].shape = {big, big};
          }).find("impossible shape") != std::string::npos);
    CHECK(check([](Manifest& m) {
            m.tensors[0].shape = {2, 0};
          }).find("impossible shape") != std::string::npos);
    CHECK(check([](Manifest& m) { m.shards[1].pieces[0].end = 11; }).find("between 0 and 10") !=
          std::string::npos);
    CHECK(check([](Manifest& m) { m.shards[1].pieces[0].offset = -1; }).find("offset -1") !=
          std::string::npos);
  }

  TEST_CASE("an element that no piece covers is named with its tensor") {
    CHECK(check([](Manifest& m) { m.shards[1].pieces[0].begin = 6; }) ==
          "m.json: tensor `model/a`: the elements [4, 6) are in no shard");
    CHECK(check([](Manifest& m) { m.shards[0].pieces[1].end = 2; }) ==
          "m.json: tensor `model/b`: the elements [2, 3) are in no shard");
  }

  TEST_CASE("an element that two pieces cover is named with both shards") {
    CHECK(check([](Manifest& m) { m.shards[1].pieces[0].begin = 3; }) ==
          "m.json: tensor `model/a`: the elements [3, 4) are in shard-00000.h5 and in "
          "shard-00001.h5");
  }
}

}  // namespace fulgur
