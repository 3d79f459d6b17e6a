#include "recipes/dsl/expression.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <string>

namespace fulgur {
namespace {

ExpressionScope scope() {
  return {.value_of = [](const Expression& name) -> ExpressionValue {
            if (name.text == "model.hidden") return Quantity{96, Unit::kNone};
            if (name.text == "train.sequence_length") return Quantity{256, Unit::kTokens};
            if (name.text == "device") return std::string("cpu");
            throw ExpressionError("E0115", "there is no " + name.text, name);
          },
          .environment = [](const Expression& name) -> ExpressionValue {
            return name.text + (name.has_fallback ? "|" + name.fallback : "");
          }};
}

ExpressionValue value(const std::string& text) {
  int steps = kMaxExpressionSteps;
  return evaluate(parse_expression(text), scope(), steps);
}

double number(const std::string& text) {
  return std::get<Quantity>(value(text)).value;
}

Unit unit(const std::string& text) {
  return std::get<Quantity>(value(text)).unit;
}

// The code and place of what is wrong: "E0117@4+2".
std::string refusal(const std::string& text) {
  try {
    value(text);
  } catch (const ExpressionError& error) {
    return error.code + "@" + std::to_string(error.offset) + "+" + std::to_string(error.length);
  }
  return "taken";
}

TEST_SUITE("recipes/dsl/expression") {
  TEST_CASE("operators bind and associate as in mathematics") {
    CHECK(number("1 + 2 * 3") == 7);
    CHECK(number("(1 + 2) * 3") == 9);
    CHECK(number("10 - 4 - 3") == 3);
    CHECK(number("64 / 4 / 2") == 8);
    CHECK(number("2 * -3 + 1") == -5);
    CHECK(number("- -3") == 3);
    CHECK(number("7 // 2 * 2 + 7 % 2") == 7);
    CHECK(number("1e-4*2") == doctest::Approx(2e-4));
    CHECK(number(".5+1.") == 1.5);
  }

  TEST_CASE("integer division and remainder round down and fit together") {
    for (const int a : {-7, -6, 0, 6, 7}) {
      for (const int b : {-3, 2, 3}) {
        const auto calculated = [&](const char* form) {
          return number(fmt::format(fmt::runtime(form), a, b));
        };
        CAPTURE(a);
        CAPTURE(b);
        CHECK(calculated("({}) // ({})") == std::floor(static_cast<double>(a) / b));
        CHECK(calculated("(({0}) // ({1})) * ({1}) + ({0}) % ({1})") == a);
      }
    }
    // Their quotient rounds to 1 in a double, yet 1 does not go into it.
    CHECK(number("9007199254740991 // 9007199254740992") == 0);
    CHECK(refusal("18014398509481984 // 2") == "E0117@0+22");
  }

  TEST_CASE("units go with plain numbers and their own kind, and with no other") {
    CHECK(number("2Ki tokens + 48") == 2096);
    CHECK(unit("2Ki tokens + 48") == Unit::kTokens);
    CHECK(unit("3 * 4 tokens") == Unit::kTokens);
    CHECK(unit("8 tokens / 2 tokens") == Unit::kNone);
    CHECK(unit("8 tokens // 3") == Unit::kTokens);
    CHECK(unit("train.sequence_length * 2") == Unit::kTokens);
    CHECK(unit("max(30s, 1min)") == Unit::kSeconds);
    CHECK(number("max(30s, 1min)") == 60);
    CHECK(number("2GiB / 1MiB") == 2048);
    CHECK(unit("2GiB") == Unit::kBytes);
    CHECK(refusal("1s + 4 tokens") == "E0117@0+13");
    CHECK(refusal("2 tokens * 3 tokens") == "E0117@0+19");
    CHECK(refusal("2 / 3 tokens") == "E0117@0+12");
    CHECK(refusal("1s < 4 tokens") == "E0117@0+13");
    CHECK(refusal("min(1, 2s, 1GB)") == "E0117@0+15");
    CHECK(refusal("4Kx") == "E0114@0+3");
  }

  TEST_CASE("comparisons are truth values, for if alone") {
    CHECK(std::get<bool>(value("model.hidden >= 96")));
    CHECK_FALSE(std::get<bool>(value("model.hidden != 96")));
    CHECK(std::get<bool>(value("device == 'cpu'")));
    CHECK(number("if(model.hidden > 64, 8, 4)") == 8);
    CHECK(number("if(device == 'cuda', 8, 4)") == 4);
    CHECK(number("if(1 < 2, 5, 1 / 0)") == 5);  // the other branch is not looked at
    CHECK(refusal("1 < 2 < 3") == "E0114@6+1");
    CHECK(refusal("(1 < 2) + 1") == "E0117@1+5");
    CHECK(refusal("if(1, 2, 3)") == "E0117@3+1");
    CHECK(refusal("device < 'x'") == "E0117@0+12");
    CHECK(refusal("device == 3") == "E0117@0+6");
  }

  TEST_CASE("functions") {
    CHECK(number("min(3, 1, 2)") == 1);
    CHECK(number("max(3)") == 3);
    CHECK(number("ceil(7 / 2) + floor(7 / 2)") == 7);
    CHECK(number("log2(1024)") == 10);
    CHECK(refusal("log2(0)") == "E0117@0+7");
    CHECK(refusal("log2(1, 2)") == "E0114@0+10");
    CHECK(refusal("maxx(1)") == "E0114@0+4");
    CHECK(refusal("max()") == "E0114@4+1");
    CHECK(refusal("system('rm')") == "E0114@0+6");
  }

  TEST_CASE("what is no expression is refused where it goes wrong") {
    CHECK(refusal("") == "E0114@0+1");
    CHECK(refusal("1 +") == "E0114@3+1");
    CHECK(refusal("(1 + 2") == "E0114@0+1");
    CHECK(refusal("1 2") == "E0114@2+1");
    CHECK(refusal("1 & 2") == "E0114@2+1");
    CHECK(refusal("'abc") == "E0114@0+1");
    CHECK(refusal("a.b.") == "E0114@3+1");
    CHECK(refusal("3 + nobody") == "E0115@4+6");
    CHECK(refusal("1 / 0") == "E0117@0+5");
    CHECK(refusal("1e308 * 10") == "E0117@0+10");
    CHECK(refusal("010 + 1") == "E0114@0+3");
  }

  TEST_CASE("an environment variable stands alone") {
    CHECK(std::get<std::string>(value("env:HOME")) == "HOME");
    CHECK(std::get<std::string>(value("env:N:-a 'b")) == "N|a 'b");
    CHECK(std::get<std::string>(value(" env:N:-")) == "N|");
    CHECK(refusal("env:N + 1") == "E0114@0+9");
    CHECK(refusal("1 + env:N") == "E0114@7+1");
    CHECK(refusal("env:") == "E0114@0+4");
  }

  TEST_CASE("depth, length and steps are limited") {
    const auto nested = [](int n) {
      const auto depth = static_cast<std::size_t>(n);
      return std::string(depth, '(') + "1" + std::string(depth, ')');
    };
    CHECK(number(nested(kMaxExpressionDepth - 1)) == 1);
    CHECK(refusal(nested(kMaxExpressionDepth)).starts_with("E0118"));
    CHECK(refusal(std::string(4000, '-') + "1").starts_with("E0118"));
    CHECK(refusal(std::string(kMaxExpressionBytes, ' ') + "1").starts_with("E0118"));
    std::string sum = "1";
    for (int i = 0; i < 1999; ++i)
      sum += "+1";
    CHECK(number(sum) == 2000);
    int steps = 3998;  // 3999 are needed
    CHECK_THROWS_AS(evaluate(parse_expression(sum), scope(), steps), ExpressionError);
    steps = 3999;
    CHECK_NOTHROW(evaluate(parse_expression(sum), scope(), steps));
    CHECK(steps == 0);
  }

  TEST_CASE("a text is cut into what it says and its expressions") {
    const auto pieces = split_text("a-${x}-$${y}${'}'}$");
    REQUIRE(pieces.size() == 5);
    CHECK(pieces[0].text == "a-");
    CHECK(pieces[1].text == "x");
    CHECK(pieces[1].is_expression);
    CHECK(pieces[1].offset == 4);
    CHECK(pieces[2].text == "-${y}");
    CHECK_FALSE(pieces[2].is_expression);
    CHECK(pieces[3].text == "'}'");
    CHECK(pieces[4].text == "$");
    CHECK_THROWS_AS(split_text("a ${b"), ExpressionError);
    CHECK(names_in(parse_expression("a.b + min(c, a.b) * d")) ==
          std::vector<std::string>{"a.b", "c", "d"});
  }
}

}  // namespace
}  // namespace fulgur
