#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "recipes/diagnostic.hpp"
#include "recipes/dsl/scalar.hpp"

namespace fulgur {

// What an expression can be: a truth value, a number with the kind of its unit, or a text.
using ExpressionValue = std::variant<bool, Quantity, std::string>;

// One operation of an expression, with those that it works on below it. `offset` and `length` say where
// it stands in the text, in bytes.
struct Expression {
  enum class Kind { kNumber, kText, kName, kEnvironment, kOperation };

  Kind kind = Kind::kNumber;
  Quantity number;            // kNumber
  std::string text;           // kText; kName; kEnvironment: its name; kOperation: "+", "min", ...
  bool has_fallback = false;  // kEnvironment
  std::string fallback;       // kEnvironment
  std::vector<Expression> args;  // kOperation
  std::size_t offset = 0;
  std::size_t length = 1;
};

// Why an expression has no value. The place is in the text that was read.
struct ExpressionError : std::runtime_error {
  ExpressionError(const char* error_code, const std::string& message, const Expression& at,
                  std::string error_help = "")
      : std::runtime_error(message),
        code(error_code),
        help(std::move(error_help)),
        offset(at.offset),
        length(at.length) {}

  std::string code;
  std::string help;
  std::size_t offset;
  std::size_t length;
  std::vector<Position> others;  // that have part in it
};

inline constexpr std::size_t kMaxExpressionBytes = 4096;
inline constexpr int kMaxExpressionDepth = 64;      // of parentheses and signs
inline constexpr int kMaxExpressionSteps = 10'000;  // of all expressions of a recipe together

// Reads what stands between ${ and }. `offset` is added to all places. Throws ExpressionError (E0114,
// E0118). From loosest to tightest:
//
//   == != < <= > >=      once, no chains; a truth value
//   + -                  both of one kind; a plain number goes with every kind
//   * / // %             a kind times or over a plain number; a kind over itself is a plain number
//   - (sign)
//   12  512Ki  4M tokens  30s  'text'  model.hidden  vars.width  (...)
//   min(a, ...) max(a, ...) ceil(a) floor(a) log2(a) if(condition, then, else)
//
// env:NAME and env:NAME:-fallback stand alone.
Expression parse_expression(std::string_view text, std::size_t offset = 0);

// The names in an expression, each once, in order.
std::vector<std::string> names_in(const Expression& expression);

// Where names and environment variables get their values; both throw ExpressionError.
struct ExpressionScope {
  std::function<ExpressionValue(const Expression& name)> value_of;
  std::function<ExpressionValue(const Expression& name)> environment;
};

// Throws ExpressionError (E0117: operands that do not fit; E0118: no steps left). `//` and `%` round
// down. Only the branch of `if` that is taken is evaluated. Every operation and name takes one step.
ExpressionValue evaluate(const Expression& expression, const ExpressionScope& scope,
                         int& steps_left);

// A text with expressions in it: "run-${layout.dp}". $${ stands for ${ itself.
struct TextPiece {
  std::string text;  // literally, or between ${ and }
  bool is_expression = false;
  std::size_t offset = 0;  // of `text`
};

bool has_expressions(std::string_view text) noexcept;  // or $${

// Throws ExpressionError (E0114) for a ${ without its }.
std::vector<TextPiece> split_text(std::string_view text);

}  // namespace fulgur
