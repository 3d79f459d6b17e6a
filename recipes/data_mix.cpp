#include "recipes/data_mix.hpp"

#include <algorithm>
#include <numeric>

#include "recipes/data_sources.hpp"

namespace fulgur {
namespace {

constexpr auto kNever = std::numeric_limits<std::int64_t>::max();

// The additions as they are given, and the rest divided in the proportions of `shares`.
Shares with_addition(const Shares& shares, const std::vector<double>& addition) {
  const double rest = 1 - std::accumulate(addition.begin(), addition.end(), 0.0);
  std::vector<double> weights;
  for (std::size_t i = 0; i < shares.size(); ++i)
    weights.push_back(addition[i] +
                      rest * (static_cast<double>(shares[i]) / static_cast<double>(kWholeMix)));
  return shares_of(weights);
}

}  // namespace

Shares StretchMix::at(std::int64_t tokens) const {
  if (tokens >= addition_from) return added;
  const auto into = tokens - from;
  return into < over ? shares_between(begin, end, std::max<std::int64_t>(into, 0), over) : end;
}

std::int64_t StretchMix::next_corner(std::int64_t tokens) const {
  if (tokens - from < over) return from + over;
  return tokens < addition_from ? addition_from : kNever;
}

std::int64_t addition_begin(const PhasesSpec& phases, std::size_t i) {
  const auto given = phases.addition_from[i];
  if (given != 0 || i + 1 == phases.from.size()) return given;
  const auto length = phases.from[i + 1] - phases.from[i];
  return phases.from[i + 1] - length / 5;
}

std::vector<StretchMix> stretch_mixes(const Job& job) {
  std::vector<double> weights;
  for (const auto& source : data_sources(job.data))
    weights.push_back(source.weight);
  StretchMix first;
  first.begin = first.end = shares_of(weights);
  std::vector<StretchMix> mixes = {std::move(first)};
  const auto& phases = job.phases;
  for (std::size_t i = 0; i < phases.from.size(); ++i) {
    const auto& before = mixes.back();
    StretchMix mix{.from = phases.from[i], .begin = before.last(), .end = before.end};
    if (!phases.mix[i].empty()) mix.end = shares_of(phases.mix[i]);
    if (!phases.mix_from[i].empty()) mix.begin = shares_of(phases.mix_from[i]);
    mix.over = phases.mix_over[i];
    if (!phases.addition[i].empty()) {
      mix.added = with_addition(mix.end, phases.addition[i]);
      mix.addition_from = addition_begin(phases, i);
    }
    mixes.push_back(std::move(mix));
  }
  return mixes;
}

}  // namespace fulgur
