#include "recipes/dsl/scalar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

#include "recipes/diagnostic.hpp"

namespace fulgur {
namespace {

enum class Measure { kNone, kMultiple, kTokens, kTime, kBytes };

struct Suffix {
  std::string_view text;
  double factor;
  Measure measure;
};

constexpr double kKi = 1024, kMi = kKi * kKi, kGi = kKi * kMi, kTi = kKi * kGi;
constexpr auto kSuffixes = std::to_array<Suffix>({
    {"", 1, Measure::kNone},         {"k", 1e3, Measure::kMultiple},
    {"K", 1e3, Measure::kMultiple},  {"M", 1e6, Measure::kMultiple},
    {"G", 1e9, Measure::kMultiple},  {"T", 1e12, Measure::kMultiple},
    {"Ki", kKi, Measure::kMultiple}, {"Mi", kMi, Measure::kMultiple},
    {"Gi", kGi, Measure::kMultiple}, {"Ti", kTi, Measure::kMultiple},
    {"ms", 1e-3, Measure::kTime},    {"s", 1, Measure::kTime},
    {"min", 60, Measure::kTime},     {"h", 3600, Measure::kTime},
    {"d", 86400, Measure::kTime},    {"B", 1, Measure::kBytes},
    {"kB", 1e3, Measure::kBytes},    {"KB", 1e3, Measure::kBytes},
    {"MB", 1e6, Measure::kBytes},    {"GB", 1e9, Measure::kBytes},
    {"TB", 1e12, Measure::kBytes},   {"KiB", kKi, Measure::kBytes},
    {"MiB", kMi, Measure::kBytes},   {"GiB", kGi, Measure::kBytes},
    {"TiB", kTi, Measure::kBytes},
});

std::string_view trim(std::string_view text) {
  while (text.ends_with(' '))
    text.remove_suffix(1);
  while (text.starts_with(' '))
    text.remove_prefix(1);
  return text;
}

std::optional<Suffix> find_suffix(std::string_view text) {
  bool tokens = false;
  for (const std::string_view word : {"tokens", "token"}) {
    if (tokens || !text.ends_with(word)) continue;
    tokens = true;
    text = trim(text.substr(0, text.size() - word.size()));
  }
  const auto found = std::find_if(kSuffixes.begin(), kSuffixes.end(),
                                  [text](const Suffix& suffix) { return suffix.text == text; });
  if (found == kSuffixes.end()) return std::nullopt;
  auto suffix = *found;
  if (tokens) {
    if (suffix.measure == Measure::kTime || suffix.measure == Measure::kBytes) return std::nullopt;
    suffix.measure = Measure::kTokens;
  }
  return suffix;
}

bool fits(Measure measure, Unit unit) {
  if (measure == Measure::kNone) return true;
  switch (unit) {
    case Unit::kNone:
      return false;
    case Unit::kCount:
      return measure == Measure::kMultiple;
    case Unit::kTokens:
      return measure == Measure::kMultiple || measure == Measure::kTokens;
    case Unit::kBytes:
      return measure == Measure::kMultiple || measure == Measure::kBytes;
    case Unit::kSeconds:
      return measure == Measure::kTime;
  }
  return false;
}

std::string_view name(Measure measure) {
  switch (measure) {
    case Measure::kNone:
      break;
    case Measure::kMultiple:
      return "a multiple";
    case Measure::kTokens:
      return "a number of tokens";
    case Measure::kTime:
      return "a time";
    case Measure::kBytes:
      return "a number of bytes";
  }
  return "a number";
}

std::string_view wanted(Unit unit) {
  switch (unit) {
    case Unit::kNone:
      return "takes a plain number";
    case Unit::kCount:
      return "takes a count, such as 512, 4k or 2Mi";
    case Unit::kTokens:
      return "takes tokens, such as 8192, 64k or 512Ki tokens";
    case Unit::kBytes:
      return "takes a number of bytes, such as 4096, 64MiB or 2GB";
    case Unit::kSeconds:
      return "takes a time, such as 500ms, 5s, 2min or 1h";
  }
  return "";
}

bool has_leading_zero(std::string_view number) {
  if (number.starts_with('-') || number.starts_with('+')) number.remove_prefix(1);
  return number.size() > 1 && number[0] == '0' &&
         std::isdigit(static_cast<unsigned char>(number[1])) != 0;
}

Unit unit_of(Measure measure) {
  switch (measure) {
    case Measure::kTokens:
      return Unit::kTokens;
    case Measure::kBytes:
      return Unit::kBytes;
    case Measure::kTime:
      return Unit::kSeconds;
    case Measure::kNone:
    case Measure::kMultiple:
      break;
  }
  return Unit::kNone;
}

ScalarError not_a_number(std::string_view text, std::string_view kind) {
  ScalarError error{"E0109", fmt::format("must be {}, not `{}`", kind, shortened(text)), ""};
  constexpr std::array<std::string_view, 6> kWords = {"yes", "no", "on", "off", "true", "false"};
  if (std::find(kWords.begin(), kWords.end(), text) != kWords.end())
    error.help = "there are no truth values here: write a number";
  return error;
}

struct Parts {
  std::string_view number;  // without a leading +
  Suffix suffix;
};

// Without a unit that is wanted, every suffix fits.
std::variant<Parts, ScalarError> split(std::string_view text, std::optional<Unit> unit,
                                       std::string_view kind) {
  const auto length = number_length(text);
  if (length == 0) return not_a_number(text, kind);
  auto number = text.substr(0, length);
  const auto rest = trim(text.substr(length));
  if (has_leading_zero(number)) {
    return ScalarError{
        "E0109", fmt::format("must be {} without a leading 0, not `{}`", kind, shortened(text)),
        "YAML 1.1 reads a leading 0 as octal, YAML 1.2 as decimal: leave it away"};
  }
  const auto suffix = find_suffix(rest);
  if (!suffix) {
    return ScalarError{"E0110", fmt::format("has the unknown unit `{}`", shortened(rest)),
                       unit ? fmt::format("it {}", wanted(*unit)) : ""};
  }
  if (unit && !fits(suffix->measure, *unit)) {
    return ScalarError{
        "E0110",
        fmt::format("{}, but `{}` is {}", wanted(*unit), shortened(text), name(suffix->measure)),
        ""};
  }
  if (number.starts_with('+')) number.remove_prefix(1);
  return Parts{number, *suffix};
}

std::optional<double> to_double(std::string_view number) {
  double value = 0;
  const auto* end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace

std::size_t number_length(std::string_view text) {
  const auto digits = [text](std::size_t at) {
    while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0)
      ++at;
    return at;
  };
  const std::size_t begin = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  auto end = digits(begin);
  auto count = end - begin;
  if (end < text.size() && text[end] == '.') {
    const auto stop = digits(end + 1);
    count += stop - end - 1;
    end = stop;
  }
  if (count == 0) return 0;
  if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    auto power = end + 1;
    if (power < text.size() && (text[power] == '-' || text[power] == '+')) ++power;
    const auto stop = digits(power);
    if (stop > power) end = stop;
  }
  return end;
}

std::string_view kind_of(Unit unit) {
  switch (unit) {
    case Unit::kTokens:
      return name(Measure::kTokens);
    case Unit::kBytes:
      return name(Measure::kBytes);
    case Unit::kSeconds:
      return name(Measure::kTime);
    case Unit::kNone:
    case Unit::kCount:
      break;
  }
  return "a plain number";
}

std::variant<Quantity, ScalarError> parse_quantity(std::string_view text) {
  const auto parts = split(text, std::nullopt, "a number");
  if (const auto* error = std::get_if<ScalarError>(&parts)) return *error;
  const auto& [number, suffix] = std::get<Parts>(parts);
  const auto value = to_double(number);
  if (!value)
    return ScalarError{"E0111", fmt::format("is out of a double's range: `{}`", shortened(text)),
                       ""};
  return Quantity{*value * suffix.factor, unit_of(suffix.measure)};
}

std::variant<std::int64_t, ScalarError> parse_integer(std::string_view text, Unit unit) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  const auto parts = split(text, unit, "an integer");
  if (const auto* error = std::get_if<ScalarError>(&parts)) return *error;
  const auto& [number, suffix] = std::get<Parts>(parts);
  const auto value = to_double(number);
  const ScalarError too_large{"E0111", fmt::format("is too large: `{}`", shortened(text)), ""};
  if (!value) return too_large;
  const double product = *value * suffix.factor;
  if (!(std::abs(product) <= kExact)) return too_large;
  if (product != std::trunc(product))
    return ScalarError{"E0109", fmt::format("must be an integer, not `{}`", shortened(text)), ""};
  return static_cast<std::int64_t>(product);
}

std::variant<double, ScalarError> parse_real(std::string_view text, Unit unit) {
  const auto parts = split(text, unit, "a number");
  if (const auto* error = std::get_if<ScalarError>(&parts)) return *error;
  const auto& [number, suffix] = std::get<Parts>(parts);
  const auto value = to_double(number);
  if (!value)
    return ScalarError{"E0111", fmt::format("is out of a double's range: `{}`", shortened(text)),
                       ""};
  return *value * suffix.factor;
}

}  // namespace fulgur
