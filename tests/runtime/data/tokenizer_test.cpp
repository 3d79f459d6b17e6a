#include "runtime/data/tokenizer.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

namespace fulgur {
namespace {

TEST_SUITE("runtime/data/tokenizer") {
  TEST_CASE("the byte tokenizer has 257 ids, the last one being eos") {
    const auto tokenizer = make_tokenizer("bytes");
    CHECK(tokenizer->vocabulary() == 257);
    REQUIRE(tokenizer->eos().has_value());
    CHECK(*tokenizer->eos() == 256);
  }

  TEST_CASE("a byte encodes to its unsigned value") {
    const auto tokenizer = make_tokenizer("bytes");
    CHECK(tokenizer->encode("A\n") == std::vector<std::int32_t>{65, 10});
    CHECK(tokenizer->encode("\xFF\x80") == std::vector<std::int32_t>{255, 128});
    CHECK(tokenizer->encode("").empty());
  }

  TEST_CASE("every byte comes back from decode, valid UTF-8 or not") {
    const auto tokenizer = make_tokenizer("bytes");
    std::string text;
    for (int byte = 255; byte >= 0; --byte)
      text += static_cast<char>(byte);
    CHECK(tokenizer->decode(tokenizer->encode(text)) == text);
  }

  TEST_CASE("eos decodes to nothing, and an id outside the vocabulary to U+FFFD") {
    const auto tokenizer = make_tokenizer("bytes");
    CHECK(tokenizer->decode({'a', 256, 'b'}) == "ab");
    CHECK(tokenizer->decode({'a', 257, -1, 'b'}) ==
          "a\xEF\xBF\xBD\xEF\xBF\xBD"
          "b");
  }

  TEST_CASE("an unknown tokenizer is refused by name") {
    CHECK_THROWS_WITH_AS(make_tokenizer("byte"), "tokenizer: expected \"bytes\", got \"byte\"",
                         std::invalid_argument);
  }
}

}  // namespace
}  // namespace fulgur
