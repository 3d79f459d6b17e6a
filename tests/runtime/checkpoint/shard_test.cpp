#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <limits>
#include <stdexcept>

#include "runtime/checkpoint/shard_writer.hpp"
#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using test::refusal;
using Kind = CheckpointError::Kind;

// Makes writes beyond `bytes` of a file fail with EFBIG, as a full disk makes them fail with ENOSPC.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old_) == 0);
    const rlimit limit{bytes, old_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  void (*handler_)(int);
};

}  // namespace

TEST_SUITE("runtime/checkpoint/shard") {
  TEST_CASE("a shard has one dataset per kind, with the pieces one behind the other") {
    const test::TemporaryDirectory directory;
    const std::vector<float> a{1, 2, 3}, b{4, 5}, c{6};
    const Piece pieces[] = {{"model/a", {{1, 0}, {1, 3}}, a},
                            {"exp_avg/a", {{10}, {1}}, c},
                            {"model/b", {{0, 4}, {2, 1}}, b}};
    const auto record = write_shard(directory.path() / "new" / "folder", 7, pieces);
    CHECK(record.file == "shard-00007.h5");
    CHECK(record.bytes == static_cast<std::int64_t>(
                              fs::file_size(directory.path() / "new" / "folder" / record.file)));
    REQUIRE(record.pieces.size() == 3);
    CHECK(record.pieces[0].dataset == "model");
    CHECK(record.pieces[1].dataset == "exp_avg");
    CHECK(record.pieces[1].offset == 0);
    CHECK(record.pieces[2].offset == 3);
    CHECK(record.pieces[0].xxh128 != record.pieces[2].xxh128);
  }

  TEST_CASE("the hash of a piece is XXH3-128 of its bytes") {
    const test::TemporaryDirectory directory;
    const std::vector<float> zero{0};
    const Piece pieces[] = {{"model/a", {{0}, {1}}, zero}};
    const auto record = write_shard(directory.path(), 0, pieces);
    Xxh128 hash;
    hash.update(std::as_bytes(std::span(zero)));
    CHECK(record.pieces[0].xxh128 == hash.hex());
    CHECK(Xxh128().hex() == "99aa06d3014798d86001c324468d497f");  // of nothing, as xxh128sum says
  }

  TEST_CASE("a rank that owns nothing writes a shard without pieces") {
    const test::TemporaryDirectory directory;
    const Piece nothing[] = {{"model/a", {{5, 0}, {2, 0}}, {}}};
    CHECK(write_shard(directory.path(), 0, nothing).pieces.empty());
    CHECK(write_shard(directory.path(), 1, {}).pieces.empty());
    CHECK(fs::exists(directory.path() / "shard-00001.h5"));
  }

  TEST_CASE("a large box becomes several pieces, and reads back as one") {
    const test::TemporaryDirectory root;
    const TensorRecord tensor{"model/a", {5, 6, 7}};
    const PieceRange ranges[] = {{tensor.name, {{0, 0, 0}, {5, 4, 7}}},
                                 {tensor.name, {{0, 4, 0}, {5, 2, 7}}}};
    const auto all = test::values_of(tensor, 1);
    const auto staging = staging_folder(root.path(), 1);
    Manifest manifest{.step = 1, .tensors = {tensor}};
    ShardWriter writer(staging, 0, ranges, 20);
    for (const auto& range : ranges)
      writer.append(test::values_in(tensor.shape, range.box, all));
    manifest.shards = {writer.finish()};
    const auto& pieces = manifest.shards[0].pieces;
    REQUIRE(pieces.size() == 15);  // 5 x 2 of 14 elements, then 5 of 14
    CHECK(pieces[1].box == Box{{0, 2, 0}, {1, 2, 7}});
    CHECK(pieces[1].offset == 14);
    CHECK(pieces[10].box == Box{{0, 4, 0}, {1, 2, 7}});
    CheckpointReader reader(commit_checkpoint(root.path(), staging, manifest, 1));
    CHECK(test::read_all(reader, tensor) == all);
  }

  TEST_CASE("a shard of an earlier attempt is replaced") {
    const test::TemporaryDirectory directory;
    const std::vector<float> a{1, 2, 3};
    const Piece pieces[] = {{"model/a", {{0}, {3}}, a}};
    test::write_file(directory.path() / "shard-00000.h5", std::string(100000, 'x'));
    const auto record = write_shard(directory.path(), 0, pieces);
    CHECK(record.bytes < 100000);
  }

  TEST_CASE("wrong arguments are refused") {
    const test::TemporaryDirectory directory;
    const std::vector<float> a{1, 2, 3};
    const auto write = [&](int rank, const Piece& piece) {
      write_shard(directory.path(), rank, {&piece, 1});
    };
    CHECK_THROWS_AS(write(-1, {"model/a", {{0}, {3}}, a}), std::invalid_argument);
    CHECK_THROWS_AS(write(0, {"model", {{0}, {3}}, a}), std::invalid_argument);
    CHECK_THROWS_AS(write(0, {"model/a", {{0, 0}, {2, 2}}, a}), std::invalid_argument);
    CHECK_THROWS_AS(write(0, {"model/a", {{-3}, {3}}, a}), std::invalid_argument);
    CHECK_THROWS_AS(write(0, {"model/a", {{0}, {1, 3}}, a}), std::invalid_argument);
    CHECK_THROWS_AS(write(0, {"model/a", {{0, 0}, {-1, -3}}, a}), std::invalid_argument);
    CHECK_THROWS_AS(write(0, {"model/a", {}, std::span(a).first(1)}), std::invalid_argument);
    CHECK(fs::is_empty(directory.path()));
  }

  TEST_CASE("a disk without room for a shard is found before writing") {
    const test::TemporaryDirectory directory;
    const PieceRange range{"model/a", {{0, 0}, {std::int64_t{1} << 25, std::int64_t{1} << 30}}};
    const auto refused = refusal([&] { ShardWriter(directory.path(), 0, {&range, 1}); });
    CHECK(refused.kind == Kind::kIo);
    CHECK(refused.says("not enough space"));
    CHECK(fs::is_empty(directory.path()));
  }

  TEST_CASE("a write that fails at any point leaves no file and says so") {
    const std::vector<float> values(1 << 16, 1.5F);
    const Piece pieces[] = {{"model/a", {{0}, {1 << 16}}, values}};
    const test::TemporaryDirectory directory;
    const auto whole = write_shard(directory.path(), 0, pieces).bytes;
    for (const std::int64_t limit : {std::int64_t{0}, std::int64_t{64}, std::int64_t{1000},
                                     std::int64_t{4096}, std::int64_t{100000}, whole - 1}) {
      CAPTURE(limit);
      const test::TemporaryDirectory fresh;
      const auto refused = refusal([&] {
        const FileSizeLimit limited(static_cast<rlim_t>(limit));
        write_shard(fresh.path(), 0, pieces);
      });
      CHECK(refused.kind == Kind::kIo);
      CHECK(refused.says((fresh.path() / "shard-00000.h5").string()));
      CHECK(fs::is_empty(fresh.path()));
    }
    const FileSizeLimit enough(static_cast<rlim_t>(whole));
    CHECK_NOTHROW(write_shard(directory.path(), 1, pieces));
  }

  TEST_CASE("values can come in any portions") {
    const test::TemporaryDirectory directory;
    const std::vector<float> a{1, 2, 3, 4, 5, 6, 7};
    const PieceRange ranges[] = {{"model/a", {{0}, {3}}}, {"model/b", {{0, 2}, {2, 2}}}};
    const auto write = [&](std::span<const std::size_t> portions) {
      ShardWriter writer(directory.path(), 0, ranges);
      std::span<const float> rest(a);
      for (const auto portion : portions) {
        writer.append(rest.first(portion));
        rest = rest.subspan(portion);
      }
      return writer.finish();
    };
    const std::size_t once[] = {7}, many[] = {1, 4, 0, 1, 1}, few[] = {6};
    CHECK(write(once).xxh128 == write(many).xxh128);
    CHECK_THROWS_AS(write(few), std::invalid_argument);
    CHECK(fs::is_empty(directory.path()));
  }
}

}  // namespace fulgur
