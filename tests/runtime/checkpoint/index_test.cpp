#include "runtime/checkpoint/index.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <random>

#include "runtime/checkpoint/hdf5.hpp"
#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/runtime/checkpoint/random_boxes.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

struct Dataset {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

// As any HDF5 program reads it.
Dataset read_dataset(const fs::path& path, const std::string& name) {
  const Hdf5Check check(path, CheckpointError::Kind::kInvalid);
  const auto file = open_hdf5(path.string(), path);
  const Hdf5Object dataset(check(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), "open"),
                           H5Dclose);
  const Hdf5Object space(check(H5Dget_space(dataset.get()), "space"), H5Sclose);
  std::array<hsize_t, 8> dims{};
  const auto rank = check(H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr), "dims");
  Dataset result;
  result.shape.assign(dims.begin(), dims.begin() + rank);
  result.values.resize(
      static_cast<std::size_t>(check(H5Sget_simple_extent_npoints(space.get()), "count")));
  check(
      H5Dread(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, result.values.data()),
      "read");
  return result;
}

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> part{};
  while (const auto got = std::fread(part.data(), 1, part.size(), pipe))
    output.append(part.data(), got);
  REQUIRE(::pclose(pipe) == 0);
  return output;
}

}  // namespace

TEST_SUITE("runtime/checkpoint/index") {
  TEST_CASE("the index shows every tensor whole, also after the folder was moved") {
    for (const int ranks : {1, 2, 3, 5, 11}) {
      CAPTURE(ranks);
      const test::TemporaryDirectory root;
      const auto path = test::save(root.path(), 4, ranks);
      const auto moved = root.path() / "elsewhere";
      fs::rename(path, moved);
      for (const auto& tensor : test::some_tensors()) {
        CAPTURE(tensor.name);
        const auto dataset = read_dataset(moved / "index.h5", tensor.name);
        CHECK(dataset.shape == tensor.shape);
        CHECK(dataset.values == test::values_of(tensor, 4));
      }
    }
  }

  TEST_CASE("the index shows a tensor whole whose shards hold columns, or any boxes") {
    const TensorRecord tensor{"model/layers.1.experts.in", {5, 2, 7, 6}};
    std::mt19937 random(2);
    for (int i = 0; i < 10; ++i) {
      const test::TemporaryDirectory root;
      std::vector<std::vector<test::Share>> shares(3);
      if (i == 0)
        shares = {{{0, {{0, 0, 0, 0}, {5, 2, 7, 4}}}}, {{0, {{0, 0, 0, 4}, {5, 2, 7, 2}}}}};
      for (auto& box :
           i == 0 ? std::vector<Box>{} : test::random_partition(random, tensor.shape, 30))
        shares[test::below(random, 3)].push_back({0, box});
      const auto staging = staging_folder(root.path(), 4);
      const auto path = commit_checkpoint(root.path(), staging,
                                          test::write_shares(staging, {tensor}, shares, 4), 1);
      const auto dataset = read_dataset(path / "index.h5", tensor.name);
      CHECK(dataset.shape == tensor.shape);
      CHECK(dataset.values == test::values_of(tensor, 4));
    }
  }

  TEST_CASE("where a shard is missing the index shows NaN, not zeros") {
    const test::TemporaryDirectory root;
    const auto path = test::save(root.path(), 4, 2);
    fs::remove(path / "shard-00001.h5");
    const auto values = read_dataset(path / "index.h5", "model/final_norm").values;
    CHECK(values[5] == test::values_of(test::some_tensors()[1], 4)[5]);
    CHECK(std::isnan(values[6]));
  }

  TEST_CASE("h5dump on the index shows a whole tensor" *
            doctest::skip(std::string(FULGUR_H5DUMP).empty())) {
    const test::TemporaryDirectory root;
    const auto path = test::save(root.path(), 128, 3);
    const auto output =
        output_of(std::string(FULGUR_H5DUMP) + " -w 1 -y -m %.3f -d /exp_avg/final_norm " +
                  (path / "index.h5").string());
    CHECK(output.find("( 13 )") != std::string::npos);
    std::size_t at = 0;
    for (const auto value : test::values_of(test::some_tensors()[2], 128)) {
      std::array<char, 32> text{};
      std::snprintf(text.data(), text.size(), "%.3f", static_cast<double>(value));
      at = output.find(text.data(), at);
      CAPTURE(output);
      REQUIRE(at != std::string::npos);
    }
  }
}

}  // namespace fulgur
