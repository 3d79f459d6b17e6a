#include "recipes/fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "recipes/fields/declared.hpp"

namespace fulgur {
namespace {

std::vector<Field> all_fields() {
  std::vector<Field> all;
  for (const auto part :
       {declared::run_fields,          declared::model_fields,         declared::expert_fields,
        declared::norm_fields,         declared::data_fields,          declared::source_fields,
        declared::train_fields,        declared::phase_fields,         declared::phase_mix_fields,
        declared::phase_layout_fields, declared::learning_rate_fields, declared::optimizer_fields,
        declared::layout_fields,       declared::parallel_fields,      declared::operation_fields,
        declared::cluster_fields,      declared::slurm_fields,         declared::stop_fields,
        declared::fault_fields,        declared::sample_fields}) {
    const auto fields = part();
    all.insert(all.end(), fields.begin(), fields.end());
  }
  return all;
}

// Whether `name` lies below `section`, and what is left of it then.
bool below(std::string_view name, std::string_view section, std::string_view& rest) {
  if (section.empty()) {
    rest = name;
    return true;
  }
  if (!name.starts_with(section) || name.size() <= section.size() || name[section.size()] != '.')
    return false;
  rest = name.substr(section.size() + 1);
  return true;
}

template <class T>
std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, std::int64_t>) {
    return std::to_string(value);
  } else if constexpr (std::is_same_v<T, double>) {
    return real_text(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else {
    std::vector<std::string> texts;
    for (const auto& each : value)
      texts.push_back(text_of(each));
    return fmt::format("[{}]", fmt::join(texts, ", "));
  }
}

}  // namespace

bool is_list(FieldType type) noexcept {
  return type == FieldType::kIntegers || type == FieldType::kReals || type == FieldType::kTexts ||
         type == FieldType::kRealLists || type == FieldType::kTextLists;
}

FieldType element_type(FieldType type) noexcept {
  switch (type) {
    case FieldType::kIntegers:
      return FieldType::kInteger;
    case FieldType::kReals:
      return FieldType::kReal;
    case FieldType::kRealLists:
      return FieldType::kReals;
    case FieldType::kTextLists:
      return FieldType::kTexts;
    default:
      return FieldType::kText;
  }
}

bool Range::contains(double value) const noexcept {
  const bool above = open_min ? value > min : value >= min;
  const bool below_max = open_max ? value < max : value <= max;
  return above && below_max;
}

std::span<const Field> fields() {
  static const std::vector<Field> all = all_fields();
  return all;
}

const Field* find_field(std::string_view name) noexcept {
  const auto all = fields();
  const auto at = std::find_if(all.begin(), all.end(),
                               [name](const Field& field) { return field.name == name; });
  return at == all.end() ? nullptr : &*at;
}

bool is_section(std::string_view name) noexcept {
  std::string_view rest;
  const auto all = fields();
  return std::any_of(all.begin(), all.end(),
                     [&](const Field& field) { return below(field.name, name, rest); });
}

std::vector<std::string> keys_of(std::string_view section) {
  std::vector<std::string> keys;
  for (const auto& field : fields()) {
    std::string_view rest;
    if (!below(field.name, section, rest)) continue;
    const std::string key(rest.substr(0, rest.find('.')));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  return keys;
}

std::string to_string(const Range& range) {
  const bool has_min = range.min != Range{}.min, has_max = range.max != Range{}.max;
  const auto min = real_text(range.min), max = real_text(range.max);
  if (has_min && has_max && !range.open_min && !range.open_max)
    return fmt::format("between {} and {}", min, max);
  std::string text;
  if (has_min) text = (range.open_min ? "above " : "at least ") + min;
  if (has_max)
    text +=
        (text.empty() ? "" : " and ") + std::string(range.open_max ? "below " : "at most ") + max;
  return text;
}

std::string real_text(double value) {
  constexpr double kPlain = 1e15;  // integers up to here are written without an exponent
  std::array<char, 64> buffer{};
  const bool plain = std::abs(value) < kPlain && value == std::trunc(value);
  const auto end = plain ? std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                         std::chars_format::fixed)
                         : std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), end.ptr};
}

std::size_t list_length(const FieldValue& value) noexcept {
  return std::visit(
      []<class T>(const T& held) -> std::size_t {
        if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>)
          return 0;
        else
          return held.size();
      },
      value);
}

std::string to_string(const FieldValue& value) {
  return std::visit([](const auto& held) { return text_of(held); }, value);
}

}  // namespace fulgur
