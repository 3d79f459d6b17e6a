#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "recipes/data_mix.hpp"
#include "recipes/data_sources.hpp"
#include "recipes/fields.hpp"
#include "recipes/phases.hpp"
#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

using Weights = std::vector<double>;

double sum(const Weights& weights) {
  return std::accumulate(weights.begin(), weights.end(), 0.0);
}

bool can_be_a_mix(const Weights& weights) {
  return sum(weights) > 0 && std::isfinite(sum(weights));
}

std::string element(const char* field, std::size_t i) {
  return fmt::format("{}[{}]", field, i);
}

struct MixField {
  const char* name;
  std::vector<Weights> PhasesSpec::*values;
};
constexpr MixField kMixFields[] = {{"phases.mix", &PhasesSpec::mix},
                                   {"phases.mix_from", &PhasesSpec::mix_from},
                                   {"phases.addition", &PhasesSpec::addition}};

std::optional<Finding> mixes_have_all_sources(const Job& job) {
  const auto sources = std::max<std::size_t>(job.data.sources.name.size(), 1);
  for (const auto& field : kMixFields) {
    const auto& mixes = job.phases.*field.values;
    for (std::size_t i = 0; i < mixes.size(); ++i) {
      if (mixes[i].empty() || mixes[i].size() == sources) continue;
      return Finding{
          "E0286",
          fmt::format("{} has {} weight{} for {} source{}", element(field.name, i), mixes[i].size(),
                      mixes[i].size() == 1 ? "" : "s", sources, sources == 1 ? "" : "s"),
          "give one for each source, in the order of data.sources, or name them",
          {element(field.name, i), "data.sources.name"}};
    }
  }
  return std::nullopt;
}

std::optional<Finding> some_source_has_weight(const Job& job) {
  const auto none = [](std::string field) {
    return Finding{"E0243",
                   fmt::format("no weight in {} is above 0", field),
                   "only the ratios of weights count: 1 for one source is enough",
                   {field}};
  };
  const auto& sources = job.data.sources;
  if (!sources.weight.empty() && !can_be_a_mix(sources.weight)) return none("data.sources.weight");
  for (const auto& field : kMixFields) {
    const auto& mixes = job.phases.*field.values;
    for (std::size_t i = 0; i < mixes.size(); ++i) {
      if (!mixes[i].empty() && !can_be_a_mix(mixes[i])) return none(element(field.name, i));
    }
  }
  return std::nullopt;
}

std::optional<Finding> additions_leave_a_rest(const Job& job) {
  const auto& additions = job.phases.addition;
  for (std::size_t i = 0; i < additions.size(); ++i) {
    if (sum(additions[i]) < 1) continue;
    return Finding{"E0287",
                   fmt::format("the additions of phase {} are {} of all samples", i,
                               real_text(sum(additions[i]))),
                   "shares of all samples, together below 1: 0.1 is a tenth; for the whole phase "
                   "give a mix",
                   {element("phases.addition", i)}};
  }
  return std::nullopt;
}

// Where phase i ends, or its additions begin, if that is known.
std::optional<std::int64_t> transition_limit(const PhasesSpec& phases, std::size_t i) {
  std::optional<std::int64_t> limit;
  if (i + 1 < phases.from.size()) limit = phases.from[i + 1];
  if (!phases.addition[i].empty() && addition_begin(phases, i) != 0)
    limit = std::min(limit.value_or(addition_begin(phases, i)), addition_begin(phases, i));
  return limit;
}

std::optional<Finding> transitions_have_ends(const Job& job) {
  if (!phases_have_one_length(job)) return std::nullopt;
  const auto& phases = job.phases;
  for (std::size_t i = 0; i < phases.from.size(); ++i) {
    const auto over = element("phases.mix_over", i), from = element("phases.mix_from", i);
    if (phases.mix[i].empty() && (phases.mix_over[i] != 0 || !phases.mix_from[i].empty()))
      return Finding{"E0288",
                     fmt::format("phase {} has a transition to no mix", i),
                     "give its mix",
                     {phases.mix_over[i] != 0 ? over : from, element("phases.from", i)}};
    if (phases.mix_over[i] == 0 && !phases.mix_from[i].empty())
      return Finding{"E0288",
                     fmt::format("phase {} goes from one mix to another over 0 tokens", i),
                     "give mix_over, or leave mix_from away",
                     {from}};
    const auto limit = transition_limit(phases, i);
    if (phases.mix_over[i] == 0 || !limit || phases.from[i] + phases.mix_over[i] <= *limit)
      continue;
    return Finding{
        "E0288",
        fmt::format("the transition of phase {} would end at {} tokens, but its additions or "
                    "the next phase begin at {}",
                    i, phases.from[i] + phases.mix_over[i], *limit),
        fmt::format("mix_over: {} or less", std::max<std::int64_t>(*limit - phases.from[i], 0)),
        {over, element("phases.from", i)}};
  }
  return std::nullopt;
}

std::optional<Finding> additions_lie_in_their_phase(const Job& job) {
  if (!phases_have_one_length(job)) return std::nullopt;
  const auto& phases = job.phases;
  for (std::size_t i = 0; i < phases.from.size(); ++i) {
    const auto given = phases.addition_from[i];
    const bool last = i + 1 == phases.from.size();
    const auto finding = [&](std::string message, std::string help) {
      return Finding{"E0289",
                     std::move(message),
                     std::move(help),
                     {element(given != 0 ? "phases.addition_from" : "phases.addition", i),
                      element("phases.from", i)}};
    };
    if (phases.addition[i].empty()) {
      if (given != 0)
        return finding(fmt::format("phase {} says when additions begin, but has none", i),
                       "give its addition");
      continue;
    }
    if (given == 0 && last)
      return finding("the last phase has no end, and so no last fifth",
                     "give addition_from, or one more phase");
    const auto begin = addition_begin(phases, i);
    if (begin < phases.from[i] || (!last && begin >= phases.from[i + 1]))
      return finding(
          fmt::format("the additions of phase {} begin at {} tokens, outside of it", i, begin),
          last ? fmt::format("addition_from: {} or more", phases.from[i])
               : fmt::format("addition_from: between {} and {}", phases.from[i],
                             phases.from[i + 1] - 1));
  }
  return std::nullopt;
}

// A source that is never read is a name misspelt, or a weight forgotten.
std::optional<Finding> every_source_is_used(const Job& job) {
  const auto& sources = job.data.sources;
  const bool sound = sources_have_all(sources) && phases_have_one_length(job) &&
                     !mixes_have_all_sources(job) && !some_source_has_weight(job) &&
                     !additions_leave_a_rest(job);
  if (!sound || sources.name.empty()) return std::nullopt;
  const auto mixes = stretch_mixes(job);
  for (std::size_t source = 0; source < sources.name.size(); ++source) {
    const bool used = std::any_of(mixes.begin(), mixes.end(), [&](const StretchMix& mix) {
      return mix.end[source] > 0 || mix.last()[source] > 0 ||
             (mix.over > 0 && mix.begin[source] > 0);
    });
    if (!used)
      return Finding{
          "E0244",
          fmt::format("source `{}` is never read: its weight is always 0", sources.name[source]),
          "give it a weight somewhere, or take it out",
          {element("data.sources.name", source), element("data.sources.weight", source)}};
  }
  return std::nullopt;
}

std::vector<std::string_view> with_sources() {
  auto names = phase_field_names();
  names.insert(names.end(), {"data.sources.name", "data.sources.files", "data.sources.weight"});
  return names;
}

}  // namespace

std::span<const Rule> mix_rules() {
  static const std::vector<Rule> kRules = {
      {{"phases.mix", "phases.mix_from", "phases.addition", "data.sources.name"},
       mixes_have_all_sources},
      {{"data.sources.weight", "phases.mix", "phases.mix_from", "phases.addition"},
       some_source_has_weight},
      {{"phases.addition"}, additions_leave_a_rest},
      {phase_field_names(), transitions_have_ends},
      {phase_field_names(), additions_lie_in_their_phase},
      {with_sources(), every_source_is_used},
  };
  return kRules;
}

}  // namespace fulgur
