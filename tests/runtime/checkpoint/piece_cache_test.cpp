#include "runtime/checkpoint/piece_cache.hpp"

#include <doctest/doctest.h>

namespace fulgur {

TEST_SUITE("runtime/checkpoint/piece_cache") {
  TEST_CASE("the pieces that were used last stay, up to the number of bytes") {
    const PieceRecord a, b, c, d;
    PieceCache cache(40);  // ten values
    CHECK(cache.find(a) == nullptr);
    CHECK(cache.insert(a, {1, 2, 3, 4}) == std::vector<float>{1, 2, 3, 4});
    cache.insert(b, {5, 6, 7});
    REQUIRE(cache.find(a) != nullptr);  // which makes b the oldest
    cache.insert(c, {8, 9, 10, 11});
    CHECK(cache.find(b) == nullptr);
    REQUIRE(cache.find(a) != nullptr);
    CHECK(*cache.find(a) == std::vector<float>{1, 2, 3, 4});
    CHECK(*cache.find(c) == std::vector<float>{8, 9, 10, 11});
    cache.insert(d, std::vector<float>(100, 1.5F));  // larger than all: it stays alone
    CHECK(cache.find(a) == nullptr);
    CHECK(cache.find(c) == nullptr);
    CHECK(cache.find(d)->size() == 100);
    cache.insert(b, {5});
    CHECK(cache.find(d) == nullptr);
    CHECK(*cache.find(b) == std::vector<float>{5});
  }
}

}  // namespace fulgur
