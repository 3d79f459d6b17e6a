#include "runtime/checkpoint/shard_notes.hpp"

#include <doctest/doctest.h>

#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using test::refusal;

// Writes the shards of all ranks and what each tells; returns the hashes.
std::vector<std::string> write_all(const fs::path& folder, int ranks, std::int64_t step) {
  const auto whole = test::write_shards(folder, ranks, step);
  std::vector<std::string> hashes;
  for (int rank = 0; rank < ranks; ++rank) {
    auto mine = whole;
    mine.shards = {whole.shards[static_cast<std::size_t>(rank)]};
    hashes.push_back(write_shard_note(folder, rank, mine));
  }
  return hashes;
}

}  // namespace

TEST_SUITE("runtime/checkpoint/shard_notes") {
  TEST_CASE("the notes of all ranks make the manifest of the whole, and the commit removes them") {
    const test::TemporaryDirectory root;
    const auto staging = staging_folder(root.path(), 9);
    const auto hashes = write_all(staging, 3, 9);
    const auto manifest = gather_shard_notes(staging, 9, hashes);
    CHECK(to_json(manifest) == to_json(test::write_shards(root.path() / "again", 3, 9)));
    const auto path = commit_checkpoint(root.path(), staging, manifest, 1);
    CHECK(test::holds(path, 9));
    for (const auto& entry : fs::directory_iterator(path))
      CHECK(!entry.path().filename().string().ends_with(".json") ==
            (entry.path().filename() != kManifestFile));
  }

  TEST_CASE("a note that is missing, damaged, of another attempt or another step is refused") {
    const test::TemporaryDirectory directory;
    const auto& folder = directory.path();
    auto hashes = write_all(folder, 2, 9);
    CHECK(refusal([&] {
            gather_shard_notes(folder, 8, hashes);
          }).says("shard-00000.json: expected one shard of step 8, got 1 of step 9"));
    std::swap(hashes[0], hashes[1]);
    CHECK(refusal([&] {
            gather_shard_notes(folder, 9, hashes);
          }).says("shard-00000.json: the file is damaged: expected SHA-256 " + hashes[0]));
    std::swap(hashes[0], hashes[1]);
    const auto text = test::read_file(folder / "shard-00001.json");
    test::write_file(folder / "shard-00001.json", text + " ");
    CHECK(
        refusal([&] { gather_shard_notes(folder, 9, hashes); }).says("shard-00001.json: the file"));
    fs::remove(folder / "shard-00001.json");
    CHECK(refusal([&] {
            gather_shard_notes(folder, 9, hashes);
          }).says("shard-00001.json: the file is missing"));
  }

  TEST_CASE("a note of no shard or of several is refused") {
    const test::TemporaryDirectory directory;
    auto manifest = test::write_shards(directory.path(), 2, 9);
    const std::string two[] = {write_shard_note(directory.path(), 0, manifest)};
    CHECK(refusal([&] { gather_shard_notes(directory.path(), 9, two); }).says("got 2 of step 9"));
    manifest.shards.clear();
    const std::string none[] = {write_shard_note(directory.path(), 0, manifest)};
    CHECK(refusal([&] { gather_shard_notes(directory.path(), 9, none); }).says("got 0 of step 9"));
  }
}

}  // namespace fulgur
