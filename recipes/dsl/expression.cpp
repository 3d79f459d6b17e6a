#include "recipes/dsl/expression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

namespace fulgur {
namespace {

using Kind = Expression::Kind;

constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

[[noreturn]] void misfit(const Expression& at, const std::string& message) {
  throw ExpressionError("E0117", message, at);
}

std::string_view kind_name(const ExpressionValue& value) {
  if (std::holds_alternative<bool>(value)) return "a truth value";
  if (std::holds_alternative<std::string>(value)) return "a text";
  return kind_of(std::get<Quantity>(value).unit);
}

Quantity number_of(const ExpressionValue& value, const Expression& at, std::string_view operation) {
  if (const auto* number = std::get_if<Quantity>(&value)) return *number;
  misfit(at, fmt::format("`{}` takes numbers, and this is {}", operation, kind_name(value)));
}

Quantity finite(Quantity number, const Expression& at) {
  if (!std::isfinite(number.value)) misfit(at, "the result is out of a double's range");
  return number;
}

// A plain number goes with every kind.
Unit common_unit(const Quantity& a, const Quantity& b, const Expression& at) {
  if (a.unit == b.unit || b.unit == Unit::kNone) return a.unit;
  if (a.unit == Unit::kNone) return b.unit;
  misfit(at, fmt::format("{} and {} do not go together", kind_of(a.unit), kind_of(b.unit)));
}

Unit product_unit(const Quantity& a, const Quantity& b, const Expression& at) {
  if (a.unit != Unit::kNone && b.unit != Unit::kNone)
    misfit(at, fmt::format("{} cannot be multiplied with {}", kind_of(a.unit), kind_of(b.unit)));
  return a.unit == Unit::kNone ? b.unit : a.unit;
}

Unit quotient_unit(const Quantity& a, const Quantity& b, const Expression& at) {
  if (b.unit == Unit::kNone) return a.unit;
  if (a.unit == b.unit) return Unit::kNone;
  misfit(at, fmt::format("{} cannot be divided by {}", kind_of(a.unit), kind_of(b.unit)));
}

Quantity divided(const Quantity& a, const Quantity& b, const Expression& at) {
  if (b.value == 0) misfit(at, "a division by 0");
  if (at.text == "/") return finite({a.value / b.value, quotient_unit(a, b, at)}, at);
  if (std::abs(a.value) > kExactIntegers || std::abs(b.value) > kExactIntegers)
    misfit(at, fmt::format("`{}` takes numbers up to 2^53", at.text));
  auto rest = std::fmod(a.value, b.value);
  if (rest != 0 && (rest < 0) != (b.value < 0)) rest += b.value;
  if (at.text == "%") return finite({rest, common_unit(a, b, at)}, at);
  return finite({std::round((a.value - rest) / b.value), quotient_unit(a, b, at)}, at);
}

Quantity arithmetic(const Quantity& a, const Quantity& b, const Expression& at) {
  if (at.text == "+") return finite({a.value + b.value, common_unit(a, b, at)}, at);
  if (at.text == "-") return finite({a.value - b.value, common_unit(a, b, at)}, at);
  if (at.text == "*") return finite({a.value * b.value, product_unit(a, b, at)}, at);
  return divided(a, b, at);
}

bool is_comparison(std::string_view operation) {
  return operation == "==" || operation == "!=" || operation.starts_with('<') ||
         operation.starts_with('>');
}

template <class T>
bool compared(const T& a, const T& b, std::string_view operation) {
  if (operation == "==") return a == b;
  if (operation == "!=") return a != b;
  if (operation == "<") return a < b;
  if (operation == "<=") return a <= b;
  return operation == ">" ? a > b : a >= b;
}

bool comparison(const ExpressionValue& a, const ExpressionValue& b, const Expression& at) {
  const auto *left = std::get_if<std::string>(&a), *right = std::get_if<std::string>(&b);
  if (left != nullptr && right != nullptr) {
    if (at.text != "==" && at.text != "!=") misfit(at, "texts can only be equal or not");
    return compared(*left, *right, at.text);
  }
  const auto x = number_of(a, at.args[0], at.text), y = number_of(b, at.args[1], at.text);
  common_unit(x, y, at);
  return compared(x.value, y.value, at.text);
}

Quantity of_one(const Quantity& a, const Expression& at) {
  if (at.text == "negate") return {-a.value, a.unit};
  if (at.text == "ceil") return {std::ceil(a.value), a.unit};
  if (at.text == "floor") return {std::floor(a.value), a.unit};
  if (a.value <= 0) misfit(at, "log2 takes a number above 0");
  return {std::log2(a.value), Unit::kNone};
}

Quantity extreme(const std::vector<ExpressionValue>& values, const Expression& at) {
  auto best = number_of(values[0], at.args[0], at.text);
  for (std::size_t i = 1; i < values.size(); ++i) {
    const auto next = number_of(values[i], at.args[i], at.text);
    const auto unit = common_unit(best, next, at);
    const auto value =
        at.text == "min" ? std::min(best.value, next.value) : std::max(best.value, next.value);
    best = {value, unit};
  }
  return best;
}

ExpressionValue chosen(const Expression& expression, const ExpressionScope& scope,
                       int& steps_left) {
  const auto condition = evaluate(expression.args[0], scope, steps_left);
  const auto* truth = std::get_if<bool>(&condition);
  if (truth == nullptr) {
    misfit(expression.args[0],
           fmt::format("the condition of `if` must be a comparison, not {}", kind_name(condition)));
  }
  return evaluate(expression.args[*truth ? 1 : 2], scope, steps_left);
}

// `first` is the value of the first argument.
ExpressionValue operated(const Expression& expression, ExpressionValue first,
                         const ExpressionScope& scope, int& steps_left) {
  std::vector<ExpressionValue> values{std::move(first)};
  for (std::size_t i = 1; i < expression.args.size(); ++i)
    values.push_back(evaluate(expression.args[i], scope, steps_left));
  if (is_comparison(expression.text)) return comparison(values[0], values[1], expression);
  if (expression.text == "min" || expression.text == "max") return extreme(values, expression);
  const auto a = number_of(values[0], expression.args[0], expression.text);
  if (values.size() == 1) return of_one(a, expression);
  return arithmetic(a, number_of(values[1], expression.args[1], expression.text), expression);
}

void take_step(const Expression& expression, int& steps_left) {
  if (steps_left <= 0) {
    throw ExpressionError(
        "E0118", fmt::format("the expressions take more than {} steps", kMaxExpressionSteps),
        expression);
  }
  --steps_left;
}

bool begins_with_its_first_argument(const Expression& expression) {
  return expression.kind == Kind::kOperation && expression.text != "if";
}

// Of an expression that does not.
ExpressionValue beginning(const Expression& expression, const ExpressionScope& scope,
                          int& steps_left) {
  switch (expression.kind) {
    case Kind::kNumber:
      return expression.number;
    case Kind::kText:
      return expression.text;
    case Kind::kName:
      return scope.value_of(expression);
    case Kind::kEnvironment:
      return scope.environment(expression);
    case Kind::kOperation:
      break;
  }
  return chosen(expression, scope, steps_left);
}

}  // namespace

// A sum of many terms is as deep on its left side as it is long, so that side is gone down without
// recursion: its length costs no stack.
ExpressionValue evaluate(const Expression& expression, const ExpressionScope& scope,
                         int& steps_left) {
  std::vector<const Expression*> chain{&expression};
  take_step(expression, steps_left);
  while (begins_with_its_first_argument(*chain.back())) {
    chain.push_back(&chain.back()->args[0]);
    take_step(*chain.back(), steps_left);
  }
  auto value = beginning(*chain.back(), scope, steps_left);
  chain.pop_back();
  for (; !chain.empty(); chain.pop_back())
    value = operated(*chain.back(), std::move(value), scope, steps_left);
  return value;
}

}  // namespace fulgur
