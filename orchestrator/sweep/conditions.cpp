#include "orchestrator/sweep/conditions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "orchestrator/sweep/candidates.hpp"
#include "recipes/dsl/scalar.hpp"
#include "recipes/fields.hpp"
#include "recipes/layout.hpp"

namespace fulgur {
namespace {

// What `unit` says of a field as a value of expressions: a count is a plain number there.
Unit kind_in_expressions(Unit unit) {
  return unit == Unit::kCount ? Unit::kNone : unit;
}

ExpressionValue value_of_field(const Field& field, const Job& job) {
  const auto value = field.access.get(job);
  const auto unit = kind_in_expressions(field.unit);
  if (const auto* integer = std::get_if<std::int64_t>(&value))
    return Quantity{static_cast<double>(*integer), unit};
  if (const auto* real = std::get_if<double>(&value)) return Quantity{*real, unit};
  return to_string(value);
}

double predicted_value(std::string_view name, const Candidate& candidate) {
  if (name == "predicted.step_seconds") return candidate.step_seconds;
  if (name == "predicted.tokens_per_second") return candidate.tokens_per_second;
  if (name == "predicted.mfu") return candidate.mfu;
  if (name == "predicted.bubble") return candidate.bubble;
  if (name == "predicted.memory") return candidate.memory;
  return candidate.mean_memory;
}

bool needs_prediction(const SweepCondition& condition) {
  const auto names = names_in(condition.expression);
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return name.starts_with("predicted."); });
}

ExpressionValue value_of_name(const Expression& name, const Job& job, const Candidate* predicted) {
  if (name.text == "world")
    return Quantity{static_cast<double>(world_size(job.layout)), Unit::kNone};
  for (const auto& each : predicted_names())
    if (each.name == name.text) return Quantity{predicted_value(each.name, *predicted), each.unit};
  return value_of_field(*find_field(name.text), job);
}

bool holds(const SweepCondition& condition, const Job& job, const Candidate* predicted) {
  const ExpressionScope scope{
      .value_of = [&](const Expression& name) { return value_of_name(name, job, predicted); },
      .environment = [](const Expression& name) -> ExpressionValue {
        throw ExpressionError("E0119", "a condition does not read the environment", name);
      }};
  int steps = kMaxExpressionSteps;
  try {
    const auto value = evaluate(condition.expression, scope, steps);
    if (const auto* truth = std::get_if<bool>(&value)) return *truth;
    throw ExpressionError("E0117", "a condition must be true or false", condition.expression,
                          "as in layout.tp <= 8");
  } catch (const ExpressionError& error) {
    throw RecipeError({{error.code,
                        fmt::format("sweep.where `{}`: {}", condition.text, error.what()),
                        {},
                        "",
                        error.help}});
  }
}

// As in a recipe: 4096 and 4Ki are one value.
bool has_value(const Job& job, const SweepExclusion::Value& wanted) {
  const auto& field = *find_field(wanted.field);
  const auto value = value_of_field(field, job);
  if (const auto* number = std::get_if<Quantity>(&value)) {
    const auto parsed = parse_real(wanted.text, field.unit);
    return std::holds_alternative<double>(parsed) && std::get<double>(parsed) == number->value;
  }
  return std::get<std::string>(value) == wanted.text;
}

}  // namespace

bool is_excluded(const std::vector<SweepExclusion>& exclude, const Job& job) {
  return std::any_of(exclude.begin(), exclude.end(), [&](const SweepExclusion& each) {
    return std::all_of(each.values.begin(), each.values.end(),
                       [&](const auto& wanted) { return has_value(job, wanted); });
  });
}

const SweepCondition* first_failed(const std::vector<SweepCondition>& conditions, const Job& job,
                                   const Candidate* predicted) {
  for (const auto& condition : conditions) {
    if (predicted == nullptr && needs_prediction(condition)) continue;
    if (!holds(condition, job, predicted)) return &condition;
  }
  return nullptr;
}

}  // namespace fulgur
