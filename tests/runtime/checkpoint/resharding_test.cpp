#include <doctest/doctest.h>

#include <random>

#include "runtime/checkpoint/hash.hpp"
#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/runtime/checkpoint/random_boxes.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using test::Share;
using Shape = std::vector<std::int64_t>;

// One tensor, one rank per box.
fs::path save_boxes(const fs::path& root, const TensorRecord& tensor,
                    const std::vector<Box>& boxes) {
  std::vector<std::vector<Share>> shares;
  shares.reserve(boxes.size());
  for (const auto& box : boxes)
    shares.push_back({{0, box}});
  const auto staging = staging_folder(root, 1);
  return commit_checkpoint(root, staging, test::write_shares(staging, {tensor}, shares, 1), 1);
}

std::vector<float> read_box(CheckpointReader& reader, const TensorRecord& tensor, const Box& box) {
  std::vector<float> values(static_cast<std::size_t>(box.elements()), -1.0F);
  reader.read(tensor.name, box, values);
  return values;
}

std::vector<float> expected(const TensorRecord& tensor, const Box& box) {
  return test::values_in(tensor.shape, box, test::values_of(tensor, 1));
}

// All boxes of a grid with these borders in every dim.
std::vector<Box> grid(const std::vector<Shape>& borders) {
  std::vector<Box> cells{Box{}};
  for (const auto& places : borders) {
    std::vector<Box> finer;
    for (const auto& cell : cells) {
      for (std::size_t i = 0; i + 1 < places.size(); ++i) {
        finer.push_back(cell);
        finer.back().start.push_back(places[i]);
        finer.back().count.push_back(places[i + 1] - places[i]);
      }
    }
    cells = finer;
  }
  return cells;
}

}  // namespace

TEST_SUITE("runtime/checkpoint/resharding") {
  TEST_CASE("a tensor written as columns reads back as rows, as columns of another cut, and flat") {
    const test::TemporaryDirectory root;
    const TensorRecord tensor{"model/layers.0.attention.out", {6, 10}};
    CheckpointReader reader(save_boxes(root.path(), tensor, grid({{0, 6}, {0, 3, 4, 8, 10}})));
    for (std::int64_t row = 0; row < 6; ++row) {
      const Box box{{row, 0}, {1, 10}};
      CHECK(read_box(reader, tensor, box) == expected(tensor, box));
    }
    for (const auto& box : grid({{0, 6}, {0, 5, 10}}))
      CHECK(read_box(reader, tensor, box) == expected(tensor, box));
    const auto all = test::values_of(tensor, 1);
    CHECK(test::read_all(reader, tensor) == all);
    std::vector<float> values(31);
    reader.read(tensor.name, 17, values);
    CHECK(values == std::vector<float>(all.begin() + 17, all.begin() + 48));
  }

  TEST_CASE("experts cut unevenly in three dims read back under another uneven cut") {
    const test::TemporaryDirectory root;
    const TensorRecord tensor{"model/layers.1.experts.in", {5, 2, 7, 6}};
    CheckpointReader reader(
        save_boxes(root.path(), tensor, grid({{0, 2, 5}, {0, 2}, {0, 1, 5, 7}, {0, 4, 6}})));
    for (const auto& box : grid({{0, 1, 4, 5}, {0, 1, 2}, {0, 3, 7}, {0, 1, 6}}))
      CHECK(read_box(reader, tensor, box) == expected(tensor, box));
    const TensorRecord three{"exp_avg/x", {7, 3, 5}};
    CheckpointReader other(save_boxes(root.path(), three, grid({{0, 7}, {0, 1, 3}, {0, 2, 5}})));
    for (const auto& box : grid({{0, 3, 4, 7}, {0, 2, 3}, {0, 1, 5}}))
      CHECK(read_box(other, three, box) == expected(three, box));
  }

  TEST_CASE("flat shares of the columns of several ranks fit together and read back by rows") {
    // Two ranks of tensor parallelism have 3 and 4 columns; three ranks each share them out flat.
    const test::TemporaryDirectory root;
    const TensorRecord tensor{"model/layers.0.attention.out", {5, 7}};
    std::vector<Box> shares;
    for (const auto& local : {Box{{0, 0}, {5, 3}}, Box{{0, 3}, {5, 4}}}) {
      const auto count = local.elements();
      for (std::int64_t rank = 0; rank < 3; ++rank) {
        for (auto box : boxes(local.count, count * rank / 3, count * (rank + 1) / 3)) {
          box.start[1] += local.start[1];
          shares.push_back(box);
        }
      }
    }
    CHECK(shares.size() > 6);
    CheckpointReader reader(save_boxes(root.path(), tensor, shares));
    for (const auto& box : grid({{0, 2, 5}, {0, 7}}))
      CHECK(read_box(reader, tensor, box) == expected(tensor, box));
  }

  TEST_CASE("any box reads the same from any partition into boxes") {
    std::mt19937 random(5);
    for (int i = 0; i < 60; ++i) {
      CAPTURE(i);
      const test::TemporaryDirectory root;
      const TensorRecord tensor{"model/a", test::random_shape(random, 9)};
      CheckpointReader reader(
          save_boxes(root.path(), tensor, test::random_partition(random, tensor.shape, 20)));
      for (int box = 0; box < 40; ++box) {
        const auto wanted = test::random_box(random, tensor.shape);
        CAPTURE(to_text(wanted));
        REQUIRE(read_box(reader, tensor, wanted) == expected(tensor, wanted));
      }
      REQUIRE(test::read_all(reader, tensor) == test::values_of(tensor, 1));
      REQUIRE(reader.problems().empty());
    }
  }

  TEST_CASE("a box that meets a damaged piece is refused, one beside it is read") {
    const test::TemporaryDirectory root;
    const TensorRecord tensor{"model/a", {4, 6}};
    const auto path = save_boxes(root.path(), tensor, grid({{0, 4}, {0, 2, 4, 6}}));
    auto manifest = CheckpointReader(path).manifest();
    manifest.shards[1].pieces[0].xxh128 = std::string(32, '0');
    const auto text = to_json(manifest) + "\n";
    test::write_file(path / kManifestFile, text);
    test::write_file(path / kManifestHashFile, sha256(text) + "\n");
    CheckpointReader reader(path);
    const Box left{{0, 0}, {4, 2}}, right{{1, 4}, {2, 1}}, across{{2, 3}, {1, 3}};
    CHECK(read_box(reader, tensor, left) == expected(tensor, left));
    CHECK(read_box(reader, tensor, right) == expected(tensor, right));
    for (int i = 0; i < 2; ++i) {  // the damaged values are not kept for the second read
      const auto refused = test::refusal([&] { read_box(reader, tensor, across); });
      CHECK(refused.says("shard-00001.h5: tensor `model/a`: the elements [0:4, 2:4] are damaged"));
    }
    CHECK(reader.problems().size() == 1);
  }
}

}  // namespace fulgur
