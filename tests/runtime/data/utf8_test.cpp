#include "runtime/data/utf8.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fulgur {
namespace {

const std::string kReplacement = "\xEF\xBF\xBD";

// What is taken from `bytes`, and what is left of them.
std::pair<std::string, std::string> take(std::string bytes) {
  std::string taken = take_complete_utf8(bytes);
  return {taken, bytes};
}

TEST_SUITE("runtime/data/utf8") {
  TEST_CASE("characters of one to four bytes come out the same") {
    const std::string text = "a\u00E9\u20AC\U0001F525z";
    CHECK(take(text) == std::pair<std::string, std::string>(text, ""));
  }

  TEST_CASE("an unfinished character waits for its last byte, wherever it is cut") {
    for (const std::string character : {"\u00E9", "\u20AC", "\U0001F525"}) {
      for (std::size_t cut = 1; cut < character.size(); ++cut) {
        CAPTURE(character);
        CAPTURE(cut);
        std::string pending = "a" + character.substr(0, cut);
        CHECK(take_complete_utf8(pending) == "a");
        CHECK(pending == character.substr(0, cut));
        pending += character.substr(cut) + "b";
        CHECK(take_complete_utf8(pending) == character + "b");
        CHECK(pending.empty());
      }
    }
  }

  TEST_CASE("bytes that are no UTF-8 become U+FFFD, and what follows them is kept") {
    const std::vector<std::string_view> wrong = {
        "\x80",          // nothing begins with it
        "\xFF",          //
        "\xC3",          // cut short by the letter that follows
        "\xE2\x82",      //
        "\xF0\x9F\x94",  //
    };
    for (const std::string_view bytes : wrong) {
      CHECK(take(std::string(bytes) + "x").first == kReplacement + "x");
    }
  }

  TEST_CASE("overlong forms, surrogates and what lies behind U+10FFFF are no characters") {
    for (const std::string_view bytes :
         {"\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\xAF", "\xF4\x90\x80\x80"}) {
      const auto [taken, left] = take(std::string(bytes) + "x");
      CHECK(left.empty());
      std::string expected;
      for (std::size_t i = 0; i < bytes.size(); ++i)
        expected += kReplacement;
      CHECK(taken == expected + "x");
    }
  }
}

}  // namespace
}  // namespace fulgur
