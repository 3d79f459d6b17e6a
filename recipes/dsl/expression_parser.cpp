#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "recipes/diagnostic.hpp"
#include "recipes/dsl/expression.hpp"
#include "recipes/dsl/suggest.hpp"

namespace fulgur {
namespace {

using Kind = Expression::Kind;

bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

struct Function {
  std::string_view name;
  std::size_t least;
  std::size_t most;
};
constexpr std::size_t kMany = 100;
constexpr auto kFunctions = std::to_array<Function>({{"min", 1, kMany},
                                                     {"max", 1, kMany},
                                                     {"ceil", 1, 1},
                                                     {"floor", 1, 1},
                                                     {"log2", 1, 1},
                                                     {"if", 3, 3}});

// Recursive descent over the bytes of one expression.
class Parser {
 public:
  Parser(std::string_view text, std::size_t offset) : text_(text), offset_(offset) {}

  Expression parse() {
    if (text_.size() > kMaxExpressionBytes)
      fail("E0118", fmt::format("an expression of more than {} bytes", kMaxExpressionBytes), 0, 1);
    skip_blanks();
    if (text_.substr(at_).starts_with("env:")) return environment();
    auto whole = comparison();
    skip_blanks();
    if (at_ < text_.size()) unexpected();
    return whole;
  }

 private:
  [[noreturn]] void fail(const char* code, const std::string& message, std::size_t begin,
                         std::size_t length, std::string help = "") const {
    Expression place;
    place.offset = offset_ + begin;
    place.length = std::max<std::size_t>(length, 1);
    throw ExpressionError(code, message, place, std::move(help));
  }

  [[noreturn]] void unexpected() const {
    if (at_ >= text_.size())
      fail("E0114", "the expression ends where a value is wanted", text_.size(), 1);
    fail("E0114", fmt::format("`{}` cannot stand here", shortened(text_.substr(at_), 20)), at_, 1,
         "operators: + - * / // % == != < <= > >=; functions: min max ceil floor log2 if");
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n'))
      ++at_;
  }

  bool take(std::string_view token) {
    skip_blanks();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  template <std::size_t N>
  std::string take_one_of(const std::array<std::string_view, N>& tokens) {
    for (const auto token : tokens) {
      if (take(token)) return std::string(token);
    }
    return "";
  }

  Expression operation(std::string name, std::vector<Expression> args, std::size_t begin) const {
    Expression made;
    made.kind = Kind::kOperation;
    made.text = std::move(name);
    made.args = std::move(args);
    made.offset = offset_ + begin;
    made.length = at_ - begin;
    return made;
  }

  Expression binary(std::string name, Expression left, Expression right) const {
    const auto begin = left.offset - offset_;
    std::vector<Expression> args;
    args.push_back(std::move(left));
    args.push_back(std::move(right));
    return operation(std::move(name), std::move(args), begin);
  }

  Expression comparison() {
    static constexpr auto kOperators =
        std::to_array<std::string_view>({"==", "!=", "<=", ">=", "<", ">"});
    auto left = sum();
    auto name = take_one_of(kOperators);
    if (name.empty()) return left;
    auto right = sum();
    const auto begin = at_;
    if (!take_one_of(kOperators).empty())
      fail("E0114", "comparisons cannot be chained", begin, at_ - begin);
    return binary(std::move(name), std::move(left), std::move(right));
  }

  Expression sum() {
    static constexpr auto kOperators = std::to_array<std::string_view>({"+", "-"});
    auto left = product();
    for (auto name = take_one_of(kOperators); !name.empty(); name = take_one_of(kOperators))
      left = binary(std::move(name), std::move(left), product());
    return left;
  }

  Expression product() {
    static constexpr auto kOperators = std::to_array<std::string_view>({"//", "*", "/", "%"});
    auto left = value();
    for (auto name = take_one_of(kOperators); !name.empty(); name = take_one_of(kOperators))
      left = binary(std::move(name), std::move(left), value());
    return left;
  }

  Expression value() {
    skip_blanks();
    const auto begin = at_;
    if (++depth_ > kMaxExpressionDepth)
      fail("E0118", fmt::format("an expression nested more than {} deep", kMaxExpressionDepth),
           begin, 1);
    auto made = value_at(begin);
    --depth_;
    return made;
  }

  Expression value_at(std::size_t begin) {
    if (take("-")) {
      std::vector<Expression> args;
      args.push_back(value());
      return operation("negate", std::move(args), begin);
    }
    if (take("(")) {
      auto inner = comparison();
      close(begin);
      return inner;
    }
    if (at_ >= text_.size()) unexpected();
    if (text_[at_] == '\'') return quoted();
    if (is_digit(text_[at_]) || text_[at_] == '.') return number();
    if (is_letter(text_[at_])) return name_or_call();
    unexpected();
  }

  void close(std::size_t opened) {
    if (!take(")")) fail("E0114", "this parenthesis is not closed", opened, 1);
  }

  Expression quoted() {
    const auto begin = at_++;
    const auto end = text_.find('\'', at_);
    if (end == std::string_view::npos) fail("E0114", "this text is not closed", begin, 1);
    Expression made;
    made.kind = Kind::kText;
    made.text = text_.substr(at_, end - at_);
    at_ = end + 1;
    made.offset = offset_ + begin;
    made.length = at_ - begin;
    return made;
  }

  std::size_t word_end(std::size_t from) const {
    while (from < text_.size() && (is_letter(text_[from]) || is_digit(text_[from])))
      ++from;
    return from;
  }

  // A number, its unit, and the word "tokens".
  Expression number() {
    const auto begin = at_;
    at_ = word_end(begin + number_length(text_.substr(begin)));
    const auto after = at_;
    skip_blanks();
    const auto word = text_.substr(at_, word_end(at_) - at_);
    at_ = word == "tokens" || word == "token" ? at_ + word.size() : after;
    const auto parsed = parse_quantity(text_.substr(begin, at_ - begin));
    if (const auto* error = std::get_if<ScalarError>(&parsed))
      fail("E0114", fmt::format("this number {}", error->message), begin, at_ - begin, error->help);
    Expression made;
    made.number = std::get<Quantity>(parsed);
    made.offset = offset_ + begin;
    made.length = at_ - begin;
    return made;
  }

  Expression name_or_call() {
    const auto begin = at_;
    at_ = word_end(at_);
    while (at_ + 1 < text_.size() && text_[at_] == '.' && is_letter(text_[at_ + 1]))
      at_ = word_end(at_ + 1);
    auto name = std::string(text_.substr(begin, at_ - begin));
    const auto end = at_;
    if (take("(")) return call(std::move(name), begin, end);
    Expression made;
    made.kind = Kind::kName;
    made.text = std::move(name);
    made.offset = offset_ + begin;
    made.length = end - begin;
    at_ = end;
    return made;
  }

  Expression call(std::string name, std::size_t begin, std::size_t name_end) {
    const auto* known = std::find_if(kFunctions.begin(), kFunctions.end(),
                                     [&](const Function& each) { return each.name == name; });
    if (known == kFunctions.end()) {
      std::vector<std::string> names;
      names.reserve(kFunctions.size());
      for (const auto& each : kFunctions)
        names.emplace_back(each.name);
      const auto near = nearest(name, names);
      fail("E0114", fmt::format("there is no function `{}`", shortened(name)), begin,
           name_end - begin,
           near.empty() ? "functions: min max ceil floor log2 if"
                        : fmt::format("did you mean `{}`?", near));
    }
    std::vector<Expression> args;
    do {
      args.push_back(comparison());
    } while (args.size() <= kMany && take(","));
    close(name_end);
    if (args.size() < known->least || args.size() > known->most) {
      fail("E0114",
           fmt::format("`{}` takes {}, not {}", name,
                       known->most == 1   ? "one value"
                       : known->most == 3 ? "a condition and two values"
                                          : "one to 100 values",
                       args.size()),
           begin, at_ - begin);
    }
    return operation(std::move(name), std::move(args), begin);
  }

  Expression environment() {
    const auto begin = at_;
    at_ = word_end(begin + 4);
    Expression made;
    made.kind = Kind::kEnvironment;
    made.text = text_.substr(begin + 4, at_ - begin - 4);
    made.has_fallback = text_.substr(at_).starts_with(":-");
    if (made.text.empty() || (!made.has_fallback && at_ < text_.size()))
      fail("E0114", "an environment variable is env:NAME or env:NAME:-fallback", begin,
           text_.size() - begin, "for arithmetic with it, make it a variable below `vars` first");
    if (made.has_fallback) made.fallback = text_.substr(at_ + 2);
    made.offset = offset_ + begin;
    made.length = text_.size() - begin;
    return made;
  }

  std::string_view text_;
  std::size_t offset_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

void add_names(const Expression& expression, std::vector<std::string>& names) {
  if (expression.kind == Kind::kName &&
      std::find(names.begin(), names.end(), expression.text) == names.end())
    names.push_back(expression.text);
  for (const auto& arg : expression.args)
    add_names(arg, names);
}

// Where the expression that begins at `from` ends: at its }, with those in quotes passed over. The
// fallback of an environment variable may hold quotes.
std::size_t expression_end(std::string_view text, std::size_t from) {
  if (text.substr(from).starts_with("env:")) return text.find('}', from);
  bool quoted = false;
  for (auto at = from; at < text.size(); ++at) {
    if (text[at] == '\'') quoted = !quoted;
    if (text[at] == '}' && !quoted) return at;
  }
  return std::string_view::npos;
}

}  // namespace

Expression parse_expression(std::string_view text, std::size_t offset) {
  return Parser(text, offset).parse();
}

std::vector<std::string> names_in(const Expression& expression) {
  std::vector<std::string> names;
  add_names(expression, names);
  return names;
}

bool has_expressions(std::string_view text) noexcept {
  return text.find("${") != std::string_view::npos;
}

std::vector<TextPiece> split_text(std::string_view text) {
  std::vector<TextPiece> pieces;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) pieces.push_back({std::exchange(literal, ""), false, 0});
  };
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with("$${")) {
      literal += "${";
      at += 3;
    } else if (text.substr(at).starts_with("${")) {
      const auto end = expression_end(text, at + 2);
      if (end == std::string_view::npos) {
        Expression place;
        place.offset = at;
        place.length = 2;
        throw ExpressionError("E0114", "`${` without its `}`", place, "write $${ for ${ itself");
      }
      end_literal();
      pieces.push_back({std::string(text.substr(at + 2, end - at - 2)), true, at + 2});
      at = end + 1;
    } else {
      literal += text[at++];
    }
  }
  end_literal();
  return pieces;
}

}  // namespace fulgur
