#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

constexpr int kMutations = 2500;

std::size_t below(std::mt19937& random, std::size_t bound) {
  return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
}

void flip_bit(char& byte, std::size_t bit) {
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << bit));
}

// A flipped bit, a few changed bytes, a lost end, added bytes, or a block of zeros.
std::string mutated(std::string text, std::mt19937& random) {
  switch (below(random, 5)) {
    case 0:
      flip_bit(text[below(random, text.size())], below(random, 8));
      break;
    case 1:
      for (std::size_t i = 0; i <= below(random, 8); ++i)
        text[below(random, text.size())] = static_cast<char>(below(random, 256));
      break;
    case 2:
      text.resize(below(random, text.size()));
      break;
    case 3:
      text.append(1 + below(random, 5000), '\0');
      break;
    default: {
      const auto at = below(random, text.size()) / 4096 * 4096;
      std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(at),
                  std::min<std::size_t>(4096, text.size() - at), '\0');
    }
  }
  return text;
}

}  // namespace

TEST_SUITE("runtime/checkpoint/damage") {
  TEST_CASE("damage anywhere is refused, and never read as other values") {
    const test::TemporaryDirectory root;
    const auto path = test::save(root.path(), 6, 2);
    std::vector<fs::path> files;
    for (const char* name :
         {"shard-00000.h5", "shard-00001.h5", "manifest.json", "manifest.json.sha256"})
      files.push_back(path / name);
    std::mt19937 random(7);
    int refused = 0;
    for (int i = 0; i < kMutations; ++i) {
      const auto& file = files[below(random, files.size())];
      const auto sound = test::read_file(file);
      const auto damaged = mutated(sound, random);
      CAPTURE(i);
      CAPTURE(file);
      test::write_file(file, damaged);
      try {
        const bool equal = test::holds(path, 6);
        REQUIRE(equal);
        REQUIRE(damaged == sound);  // a block of zeros that were zeros
      } catch (const CheckpointError& error) {
        REQUIRE(error.kind() == CheckpointError::Kind::kInvalid);
        ++refused;
      }
      test::write_file(file, sound);
    }
    CHECK(refused > kMutations * 9 / 10);
    CHECK(test::holds(path, 6));
  }
}

}  // namespace fulgur
