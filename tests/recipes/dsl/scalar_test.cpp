#include "recipes/dsl/scalar.hpp"

#include <doctest/doctest.h>

namespace fulgur {
namespace {

std::int64_t integer(std::string_view text, Unit unit = Unit::kNone) {
  const auto parsed = parse_integer(text, unit);
  const auto* error = std::get_if<ScalarError>(&parsed);
  INFO(text, " ", error != nullptr ? error->message : "");
  REQUIRE(error == nullptr);
  return std::get<std::int64_t>(parsed);
}

double real(std::string_view text, Unit unit = Unit::kNone) {
  const auto parsed = parse_real(text, unit);
  const auto* error = std::get_if<ScalarError>(&parsed);
  INFO(text, " ", error != nullptr ? error->message : "");
  REQUIRE(error == nullptr);
  return std::get<double>(parsed);
}

std::string integer_code(std::string_view text, Unit unit = Unit::kNone) {
  const auto parsed = parse_integer(text, unit);
  const auto* error = std::get_if<ScalarError>(&parsed);
  return error == nullptr ? "" : error->code;
}

std::string real_code(std::string_view text, Unit unit = Unit::kNone) {
  const auto parsed = parse_real(text, unit);
  const auto* error = std::get_if<ScalarError>(&parsed);
  return error == nullptr ? "" : error->code;
}

TEST_SUITE("recipes/dsl/scalar") {
  TEST_CASE("integers are decimal, with a sign, an exponent or a fraction that vanishes") {
    CHECK(integer("0") == 0);
    CHECK(integer("42") == 42);
    CHECK(integer("-7") == -7);
    CHECK(integer("+7") == 7);
    CHECK(integer("1e9") == 1'000'000'000);
    CHECK(integer("2.50e1") == 25);
    CHECK(integer("9007199254740992") == 9007199254740992);
  }

  TEST_CASE("multiples are powers of 1000, or of 1024 with an i") {
    CHECK(integer("2M", Unit::kCount) == 2'000'000);
    CHECK(integer("64k", Unit::kCount) == 64'000);
    CHECK(integer("64K", Unit::kCount) == 64'000);
    CHECK(integer("512Ki", Unit::kCount) == 524'288);
    CHECK(integer("1.5Mi", Unit::kCount) == 1'572'864);
    CHECK(integer("3 Gi", Unit::kCount) == 3'221'225'472);
    CHECK(integer("1T", Unit::kCount) == 1'000'000'000'000);
  }

  TEST_CASE("tokens may be called so") {
    CHECK(integer("8192", Unit::kTokens) == 8192);
    CHECK(integer("512Ki tokens", Unit::kTokens) == 524'288);
    CHECK(integer("64k tokens", Unit::kTokens) == 64'000);
    CHECK(integer("1 token", Unit::kTokens) == 1);
    CHECK(integer("3tokens", Unit::kTokens) == 3);
  }

  TEST_CASE("times come out in seconds") {
    CHECK(real("5s", Unit::kSeconds) == 5);
    CHECK(real("500ms", Unit::kSeconds) == 0.5);
    CHECK(real("2 min", Unit::kSeconds) == 120);
    CHECK(real("1.5h", Unit::kSeconds) == 5400);
    CHECK(real("0.25", Unit::kSeconds) == 0.25);
  }

  TEST_CASE("real numbers are read to the last bit") {
    CHECK(real("3.5565588200778455") == 3.5565588200778455);
    CHECK(real("1e-5") == 1e-5);
    CHECK(real(".5") == 0.5);
    CHECK(real("5.") == 5);
    CHECK(real("1E+3") == 1000);
  }

  TEST_CASE("what is no number is refused") {
    for (const auto* text :
         {"",    "-",   ".",   "e5",   "four", "yes",  "0x10",  "0o7", ".inf", ".nan",
          "nan", "inf", "010", "-010", "00",   "08.5", "1_000", "8.5", "1e-1", "--5"}) {
      CAPTURE(text);
      CHECK_FALSE(integer_code(text).empty());
    }
    for (const auto* text :
         {"", "-", ".inf", "nan", "inf", "0x1p3", "010.5", "1,5", "1e999", "5 5"}) {
      CAPTURE(text);
      CHECK_FALSE(real_code(text).empty());
    }
  }

  TEST_CASE("a unit of a wrong kind is told from an unknown one and from a number out of range") {
    CHECK(integer_code("4k", Unit::kNone) == "E0110");
    CHECK(integer_code("4 tokens", Unit::kCount) == "E0110");
    CHECK(integer_code("4s", Unit::kTokens) == "E0110");
    CHECK(integer_code("4GiB", Unit::kTokens) == "E0110");
    CHECK(integer_code("4 stokens", Unit::kTokens) == "E0110");
    CHECK(integer_code("4 parsecs", Unit::kTokens) == "E0110");
    CHECK(real_code("4k", Unit::kSeconds) == "E0110");
    CHECK(integer_code("9007199254740993", Unit::kNone).empty());  // rounds to 2^53
    CHECK(integer_code("9007199254740994", Unit::kNone) == "E0111");
    CHECK(integer_code("1e300", Unit::kNone) == "E0111");
    CHECK(integer_code("9999T", Unit::kCount) == "E0111");
  }
}

}  // namespace
}  // namespace fulgur
