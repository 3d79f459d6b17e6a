#include "runtime/checkpoint/reader.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "runtime/checkpoint/hash.hpp"
#include "runtime/checkpoint/hdf5.hpp"
#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using test::refusal;
using test::save;
using Kind = CheckpointError::Kind;

// Writes a manifest and its hash as the commit does: what a forger would do.
void rewrite_manifest(const fs::path& folder, const Manifest& manifest) {
  const auto text = to_json(manifest) + "\n";
  test::write_file(folder / kManifestFile, text);
  test::write_file(folder / kManifestHashFile, sha256(text) + "\n");
}

// Replaces shard 0 by what `make` puts into a new HDF5 file, with a manifest that says all is well.
void replace_shard(const fs::path& folder, const std::function<void(hid_t)>& make) {
  auto manifest = CheckpointReader(folder).manifest();
  const auto path = folder / manifest.shards[0].file;
  const Hdf5Check check(path, Kind::kIo);
  fs::rename(path, folder / "old.h5");
  auto file = create_hdf5(path);
  make(file.get());
  file.close(check);
  const auto text = test::read_file(path);
  Xxh128 hash;
  hash.update(std::as_bytes(std::span(text)));
  manifest.shards[0].bytes = static_cast<std::int64_t>(text.size());
  manifest.shards[0].xxh128 = hash.hex();
  rewrite_manifest(folder, manifest);
}

test::Refusal read_refusal(const fs::path& folder) {
  return refusal([&] { test::holds(folder, 1); });
}

}  // namespace

TEST_SUITE("runtime/checkpoint/reader") {
  TEST_CASE("every range of a tensor reads the same from shards of any number of ranks") {
    const test::TemporaryDirectory root;
    const auto& tensor = test::some_tensors()[0];
    const auto expected = test::values_of(tensor, 1);
    for (const int ranks : {1, 2, 7, 100}) {
      CAPTURE(ranks);
      CheckpointReader reader(save(root.path(), 1, ranks));
      for (const std::int64_t begin : {0, 1, 59, 60, 61, 209, 419, 420}) {
        for (const std::int64_t end : {0, 1, 60, 61, 210, 419, 420}) {
          if (end < begin) continue;
          std::vector<float> values(static_cast<std::size_t>(end - begin));
          reader.read(tensor.name, begin, values);
          CHECK(values == std::vector<float>(expected.begin() + begin, expected.begin() + end));
        }
      }
    }
  }

  TEST_CASE("a tensor that is not there and a range beyond its end are refused by name") {
    const test::TemporaryDirectory root;
    CheckpointReader reader(save(root.path(), 1));
    CHECK(reader.has("model/final_norm"));
    CHECK(!reader.has("model/final"));
    CHECK(reader.shape("model/final_norm") == std::vector<std::int64_t>{13});
    std::vector<float> values(4);
    CHECK(refusal([&] { reader.read("model/x", 0, values); }).says("holds no tensor `model/x`"));
    const auto refused = refusal([&] { reader.read("model/final_norm", 10, values); });
    CHECK(refused.says("has 13 elements; wanted are [10, 14)"));
    CHECK(refused.kind == Kind::kInvalid);
    CHECK(refusal([&] {
            reader.read("model/final_norm", Box{{10}, {4}}, values);
          }).says("has the shape [13]; wanted is a box with start [10] and count [4]"));
    CHECK(refusal([&] {
            reader.read("model/final_norm", Box{{0, 0}, {2, 2}}, values);
          }).says("has the shape [13]"));
    CHECK_THROWS_AS(reader.read("model/final_norm", Box{{0}, {3}}, values), std::invalid_argument);
  }

  TEST_CASE("a part of a damaged piece is refused, also where the part itself is sound") {
    const test::TemporaryDirectory root;
    const auto path = save(root.path(), 1, 1);
    auto manifest = CheckpointReader(path).manifest();
    manifest.shards[0].pieces[1].xxh128 = std::string(32, '0');
    rewrite_manifest(path, manifest);
    CheckpointReader reader(path);
    std::vector<float> value(1);
    CHECK_NOTHROW(reader.read("exp_avg/final_norm", 3, value));
    const auto refused = refusal([&] { reader.read("model/final_norm", 3, value); });
    CHECK(
        refused.says("shard-00000.h5: tensor `model/final_norm`: the elements [0:13] are damaged"));
  }

  TEST_CASE("shards that were exchanged, or come from another step, are refused") {
    const test::TemporaryDirectory root;
    const auto path = save(root.path(), 1), other = save(root.path(), 2);
    fs::copy_file(other / "shard-00001.h5", path / "shard-00001.h5",
                  fs::copy_options::overwrite_existing);
    CHECK(read_refusal(path).says("shard-00001.h5: the file is damaged"));
  }

  TEST_CASE("a symbolic link in place of a file is refused") {
    const test::TemporaryDirectory root;
    for (const char* file : {"shard-00001.h5", "manifest.json", "manifest.json.sha256"}) {
      const auto path = save(root.path(), 1);
      fs::rename(path / file, root.path() / file);
      fs::create_symlink(root.path() / file, path / file);
      CHECK(read_refusal(path).says("got a symbolic link"));
    }
  }

  TEST_CASE("a shard that sends the reader elsewhere is refused, whatever the manifest says") {
    const test::TemporaryDirectory root;
    const auto path = save(root.path(), 1);
    SUBCASE("an external link") {
      replace_shard(path, [](hid_t file) {
        H5Lcreate_external("old.h5", "/model", file, "model", H5P_DEFAULT, H5P_DEFAULT);
      });
      CHECK(read_refusal(path).says("soft or external link"));
    }
    SUBCASE("a virtual dataset") {
      replace_shard(path, [](hid_t file) {
        const hsize_t size = 144;
        const Hdf5Object space(H5Screate_simple(1, &size, nullptr), H5Sclose);
        const Hdf5Object creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
        H5Pset_virtual(creation.get(), space.get(), "old.h5", "model", space.get());
        const Hdf5Object dataset(H5Dcreate2(file, "model", H5T_IEEE_F32LE, space.get(), H5P_DEFAULT,
                                            creation.get(), H5P_DEFAULT),
                                 H5Dclose);
      });
      CHECK(read_refusal(path).says("expected contiguous storage"));
    }
    SUBCASE("an external file") {
      replace_shard(path, [](hid_t file) {
        const hsize_t size = 144;
        const Hdf5Object space(H5Screate_simple(1, &size, nullptr), H5Sclose);
        const Hdf5Object creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
        H5Pset_external(creation.get(), "/etc/hostname", 0, H5F_UNLIMITED);
        const Hdf5Object dataset(H5Dcreate2(file, "model", H5T_IEEE_F32LE, space.get(), H5P_DEFAULT,
                                            creation.get(), H5P_DEFAULT),
                                 H5Dclose);
      });
      CHECK(read_refusal(path).says("expected no external files"));
    }
    SUBCASE("a dataset that is too short") {
      replace_shard(path, [&](hid_t file) {
        const fs::path name = "x";
        create_flat_dataset(file, "model", 104, Hdf5Check(name, Kind::kIo));
      });
      CHECK(read_refusal(path).says("has 104 elements, too few"));
    }
  }

  TEST_CASE("a checkpoint of another format is refused by its number") {
    const test::TemporaryDirectory root;
    const auto path = save(root.path(), 1);
    auto manifest = CheckpointReader(path).manifest();
    manifest.format = kCheckpointFormat + 1;
    rewrite_manifest(path, manifest);
    CHECK(read_refusal(path).says("checkpoint format 4 is newer"));
    manifest.format = 1;
    rewrite_manifest(path, manifest);
    CHECK(read_refusal(path).says("checkpoint format 1 is unknown: this program reads format 3"));
  }

  TEST_CASE("a folder that is no checkpoint is refused by its path") {
    const test::TemporaryDirectory root;
    CHECK(read_refusal(root.path()).says("manifest.json: the file is missing"));
    CHECK(read_refusal(root.path() / "nothing").kind == Kind::kInvalid);
    CHECK(verify_checkpoint(root.path()).size() == 1);
  }
}

}  // namespace fulgur
