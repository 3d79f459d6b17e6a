#include "recipes/rules/rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

std::vector<double> numbers(const FieldValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value))
    return {static_cast<double>(*integer)};
  if (const auto* real = std::get_if<double>(&value)) return {*real};
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value))
    return {list->begin(), list->end()};
  return {};
}

std::string or_list(std::int64_t below, std::int64_t above) {
  if (below < 1 || below == above) return std::to_string(above);
  return fmt::format("{} or {}", below, above);
}

}  // namespace

std::vector<Violation> range_violations(const Field& field, const Job& job) {
  std::vector<Violation> broken;
  for (const double number : numbers(field.access.get(job))) {
    if (field.range.contains(number)) continue;
    const auto range = to_string(field.range);
    broken.push_back({"E0111",
                      fmt::format("{} = {}: it must be {}", field.name, real_text(number),
                                  range.empty() ? "a finite number" : range),
                      {std::string(field.name)},
                      ""});
  }
  return broken;
}

std::vector<Violation> violations(const Job& job, const FieldNames& unknown) {
  std::vector<Violation> all;
  auto skip = unknown;
  for (const auto& field : fields()) {
    if (unknown.contains(field.name)) continue;
    auto broken = range_violations(field, job);
    if (!broken.empty()) skip.emplace(field.name);
    std::move(broken.begin(), broken.end(), std::back_inserter(all));
  }
  for (const auto rules : {model_rules(), batch_rules(), layout_rules(), pipeline_rules(),
                           data_rules(), optimizer_rules(), run_rules()}) {
    for (const auto& rule : rules) {
      const bool known = std::none_of(rule.fields.begin(), rule.fields.end(),
                                      [&](std::string_view name) { return skip.contains(name); });
      auto finding = known ? rule.check(job) : std::nullopt;
      if (!finding) continue;
      all.push_back({std::move(finding->code),
                     std::move(finding->message),
                     {rule.fields.begin(), rule.fields.end()},
                     std::move(finding->help)});
    }
  }
  return all;
}

std::string nearest_divisors(std::int64_t whole, std::int64_t wanted) {
  std::int64_t below = 0, above = whole;
  const auto consider = [&](std::int64_t divisor) {
    if (divisor <= wanted) below = std::max(below, divisor);
    if (divisor >= wanted) above = std::min(above, divisor);
  };
  for (std::int64_t divisor = 1; divisor <= whole / divisor; ++divisor) {
    if (whole % divisor != 0) continue;
    consider(divisor);
    consider(whole / divisor);
  }
  return or_list(below, above);
}

std::string nearest_multiples(std::int64_t unit, std::int64_t wanted) {
  const auto below = wanted / unit * unit;
  return or_list(below, below == wanted ? wanted : below + unit);
}

}  // namespace fulgur
