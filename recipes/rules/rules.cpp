#include "recipes/rules/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "recipes/diagnostic.hpp"
#include "recipes/phases.hpp"
#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

// A number of a field, and where it stands: "phases.mix[1][0]".
struct Number {
  double value;
  std::string name;
};

template <class T>
void add_numbers(const T& value, const std::string& name, std::vector<Number>& numbers) {
  if constexpr (std::is_arithmetic_v<T>) {
    numbers.push_back({static_cast<double>(value), name});
  } else if constexpr (!std::is_same_v<T, std::string>) {
    for (std::size_t i = 0; i < value.size(); ++i)
      add_numbers(value[i], fmt::format("{}[{}]", name, i), numbers);
  }
}

std::string or_list(std::int64_t below, std::int64_t above) {
  if (below < 1 || below == above) return std::to_string(above);
  return fmt::format("{} or {}", below, above);
}

// The fields that a phase can change, with the lists that they come from.
constexpr auto kPhaseFields = std::to_array<std::pair<std::string_view, std::string_view>>(
    {{"train.sequence_length", "phases.sequence_length"},
     {"train.batch", "phases.batch"},
     {"train.micro_batch", "phases.micro_batch"},
     {"model.rope_base", "phases.rope_base"},
     {"layout.pp", "phases.layout.pp"},
     {"layout.dp", "phases.layout.dp"},
     {"layout.cp", "phases.layout.cp"},
     {"layout.tp", "phases.layout.tp"},
     {"layout.ep", "phases.layout.ep"},
     {"layout.etp", "phases.layout.etp"}});

FieldValue value_of(const Job& job, std::string_view field) {
  return find_field(field)->access.get(job);
}

// Whether phase i gives the field: what it does not give is 0.
bool gives(const FieldValue& column, std::size_t i) {
  if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&column))
    return (*integers)[i] != 0;
  return std::get<std::vector<double>>(column)[i] != 0;
}

// Where a field gets its value from in a stretch: "phases.batch[1]".
std::string source_of(const Job& job, std::string_view field, std::size_t stretch) {
  const auto* names = std::find_if(kPhaseFields.begin(), kPhaseFields.end(),
                                   [&](const auto& each) { return each.first == field; });
  if (names == kPhaseFields.end()) return std::string(field);
  const auto column = value_of(job, names->second);
  for (auto i = stretch; i > 0; --i) {
    if (gives(column, i - 1)) return fmt::format("{}[{}]", names->second, i - 1);
  }
  return std::string(field);
}

bool reads_what_differs(const Rule& rule, const Job& a, const Job& b) {
  return std::any_of(kPhaseFields.begin(), kPhaseFields.end(), [&](const auto& names) {
    return std::find(rule.fields.begin(), rule.fields.end(), names.first) != rule.fields.end() &&
           value_of(a, names.first) != value_of(b, names.first);
  });
}

// The rules with the values of every phase, where they differ from those before.
class PhaseRules {
 public:
  PhaseRules(const Job& job, const FieldNames& skip) : job_(job), skip_(skip), before_(job) {}

  void check(const std::vector<std::span<const Rule>>& all, std::vector<Violation>& found) {
    const bool known =
        std::none_of(kPhaseFields.begin(), kPhaseFields.end(), [&](const auto& each) {
          return skip_.contains(each.first) || skip_.contains(each.second);
        });
    if (!known || skip_.contains("phases.from") || !phases_have_one_length(job_)) return;
    for (std::size_t stretch = 1; stretch <= job_.phases.from.size(); ++stretch) {
      if (found.size() >= Problems::kMost) return;
      auto now = job_of_phase(job_, stretch);
      for (const auto rules : all) {
        for (const auto& rule : rules)
          check(rule, now, stretch, found);
      }
      before_ = std::move(now);
    }
  }

 private:
  void check(const Rule& rule, const Job& now, std::size_t stretch, std::vector<Violation>& found) {
    if (!reads_what_differs(rule, before_, now)) return;
    const bool known = std::none_of(rule.fields.begin(), rule.fields.end(),
                                    [&](std::string_view name) { return skip_.contains(name); });
    auto finding = known ? rule.check(now) : std::nullopt;
    if (!finding) return;
    Violation violation{std::move(finding->code),
                        fmt::format("in phase {}, from {} tokens on: {}", stretch - 1,
                                    job_.phases.from[stretch - 1], finding->message),
                        {},
                        std::move(finding->help)};
    for (const auto field : rule.fields)
      violation.fields.push_back(source_of(job_, field, stretch));
    violation.fields.push_back(fmt::format("phases.from[{}]", stretch - 1));
    found.push_back(std::move(violation));
  }

  const Job& job_;
  const FieldNames& skip_;
  Job before_;
};

std::vector<std::span<const Rule>> all_rules() {
  return {model_rules(),    batch_rules(), phase_rules(),     mix_rules(), layout_rules(),
          pipeline_rules(), data_rules(),  optimizer_rules(), run_rules(), cluster_rules()};
}

}  // namespace

std::vector<Violation> range_violations(const Field& field, const Job& job) {
  std::vector<Violation> broken;
  std::vector<Number> numbers;
  std::visit([&](const auto& value) { add_numbers(value, std::string(field.name), numbers); },
             field.access.get(job));
  for (auto& [value, name] : numbers) {
    if (field.range.contains(value)) continue;
    const auto range = to_string(field.range);
    broken.push_back({"E0111",
                      fmt::format("{} = {}: it must be {}", field.name, real_text(value),
                                  range.empty() ? "a finite number" : range),
                      {std::move(name)},
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
  const auto every = all_rules();
  for (const auto rules : every) {
    for (const auto& rule : rules) {
      const bool known = std::none_of(rule.fields.begin(), rule.fields.end(),
                                      [&](std::string_view name) { return skip.contains(name); });
      auto finding = known ? rule.check(job) : std::nullopt;
      if (!finding) continue;
      all.push_back({std::move(finding->code), std::move(finding->message),
                     finding->fields.empty()
                         ? std::vector<std::string>{rule.fields.begin(), rule.fields.end()}
                         : std::move(finding->fields),
                     std::move(finding->help)});
    }
  }
  PhaseRules(job, skip).check(every, all);
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
