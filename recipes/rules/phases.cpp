#include "recipes/phases.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "recipes/fields.hpp"
#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

std::optional<Finding> columns_have_one_length(const Job& job) {
  if (phases_have_one_length(job)) return std::nullopt;
  return Finding{"E0281", "the lists of phases have different lengths",
                 "write phases as a list of mappings, or one value for each phase in every list"};
}

std::optional<Finding> phases_follow_each_other(const Job& job) {
  const auto& from = job.phases.from;
  for (std::size_t i = 1; i < from.size(); ++i) {
    if (from[i] > from[i - 1]) continue;
    return Finding{"E0282",
                   fmt::format("phase {} begins at {} tokens, phase {} before it at {}", i, from[i],
                               i - 1, from[i - 1]),
                   "phases stand in their order",
                   {fmt::format("phases.from[{}]", i), fmt::format("phases.from[{}]", i - 1)}};
  }
  return std::nullopt;
}

// Of the fields that default to 0, or to an empty list, that is anything else.
bool is_given(const FieldValue& column, std::size_t i) {
  if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&column))
    return (*integers)[i] != 0;
  if (const auto* reals = std::get_if<std::vector<double>>(&column)) return (*reals)[i] != 0;
  const auto* lists = std::get_if<std::vector<std::vector<double>>>(&column);
  return lists != nullptr && !(*lists)[i].empty();
}

bool changes_something(const Job& job, std::size_t i) {
  if (job.phases.learning_rate[i] != -1) return true;
  for (const auto& name : phase_field_names()) {
    if (name == "phases.from" || name == "phases.learning_rate") continue;
    if (is_given(find_field(name)->access.get(job), i)) return true;
  }
  return false;
}

std::optional<Finding> every_phase_changes_something(const Job& job) {
  if (!phases_have_one_length(job)) return std::nullopt;
  for (std::size_t i = 0; i < job.phases.from.size(); ++i) {
    if (!changes_something(job, i))
      return Finding{"E0283",
                     fmt::format("phase {} changes nothing", i),
                     "take it out",
                     {fmt::format("phases.from[{}]", i)}};
  }
  return std::nullopt;
}

std::optional<Finding> rates_are_rates(const Job& job) {
  const auto& rates = job.phases.learning_rate;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    if (rates[i] >= 0 || rates[i] == -1) continue;
    return Finding{"E0284",
                   fmt::format("a learning rate of {}", real_text(rates[i])),
                   "0 or more; leave it out where the phase does not set it",
                   {fmt::format("phases.learning_rate[{}]", i)}};
  }
  return std::nullopt;
}

// What would be cut off has no effect, and so is a mistake.
std::optional<Finding> schedule_ends_before_rates(const Job& job) {
  if (!phases_have_one_length(job)) return std::nullopt;
  const auto begin = phase_rates_begin(job);
  const auto& rate = job.optimizer.learning_rate;
  if (!begin) return std::nullopt;
  const double decay_end = rate.decay_tokens == 0 ? 0
                                                  : static_cast<double>(rate.decay_from) +
                                                        static_cast<double>(rate.decay_tokens);
  const bool decays = decay_end > static_cast<double>(*begin);
  if (rate.warmup_tokens <= *begin && !decays) return std::nullopt;
  const auto& from = job.phases.from;
  const auto phase = std::find(from.begin(), from.end(), *begin) - from.begin();
  std::vector<std::string> fields = {fmt::format("phases.learning_rate[{}]", phase),
                                     fmt::format("phases.from[{}]", phase)};
  const std::string schedule = "optimizer.learning_rate.";
  if (decays)
    fields.insert(fields.end(), {schedule + "decay_from", schedule + "decay_tokens"});
  else
    fields.push_back(schedule + "warmup_tokens");
  return Finding{"E0285",
                 fmt::format("the {} of optimizer.learning_rate goes on after {} tokens, where a "
                             "phase sets the rate",
                             decays ? "decay" : "warm-up", *begin),
                 "let it end there, or give the rate in a later phase", std::move(fields)};
}

std::vector<std::string_view> with_phases(std::vector<std::string_view> others) {
  auto names = phase_field_names();
  names.insert(names.end(), others.begin(), others.end());
  return names;
}

}  // namespace

std::span<const Rule> phase_rules() {
  static const std::vector<Rule> kRules = {
      {phase_field_names(), columns_have_one_length},
      {{"phases.from"}, phases_follow_each_other},
      {phase_field_names(), every_phase_changes_something},
      {{"phases.learning_rate"}, rates_are_rates},
      {with_phases({"optimizer.learning_rate.warmup_tokens", "optimizer.learning_rate.decay_from",
                    "optimizer.learning_rate.decay_tokens"}),
       schedule_ends_before_rates},
  };
  return kRules;
}

}  // namespace fulgur
