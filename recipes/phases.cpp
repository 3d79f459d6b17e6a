#include "recipes/phases.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "recipes/fields.hpp"

namespace fulgur {
namespace {

double scheduled_rate(const LearningRateSpec& spec, std::int64_t tokens) {
  const auto seen = static_cast<double>(tokens);
  if (tokens < spec.warmup_tokens)
    return spec.peak * seen / static_cast<double>(spec.warmup_tokens);
  if (spec.decay_tokens == 0 || tokens <= spec.decay_from) return spec.peak;
  const double into =
      (seen - static_cast<double>(spec.decay_from)) / static_cast<double>(spec.decay_tokens);
  const double cosine = 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(into, 1.0)));
  return spec.final + (spec.peak - spec.final) * cosine;
}

}  // namespace

std::size_t phase_at(const Job& job, std::int64_t tokens) {
  const auto& from = job.phases.from;
  return static_cast<std::size_t>(std::upper_bound(from.begin(), from.end(), tokens) -
                                  from.begin());
}

TrainSpec train_of_phase(const Job& job, std::size_t phase) {
  auto train = job.train;
  const auto& phases = job.phases;
  const auto take = [](std::int64_t& value, std::int64_t given) {
    if (given != 0) value = given;
  };
  for (std::size_t i = 0; i < phase; ++i) {
    take(train.sequence_length, phases.sequence_length[i]);
    take(train.batch, phases.batch[i]);
    take(train.micro_batch, phases.micro_batch[i]);
  }
  return train;
}

Layout layout_of_phase(const Job& job, std::size_t phase) {
  auto layout = job.layout;
  const auto& given = job.phases.layout;
  const auto take = [](int& axis, std::int64_t size) {
    if (size != 0) axis = static_cast<int>(size);
  };
  for (std::size_t i = 0; i < phase; ++i) {
    take(layout.pp, given.pp[i]);
    take(layout.dp, given.dp[i]);
    take(layout.cp, given.cp[i]);
    take(layout.tp, given.tp[i]);
    take(layout.ep, given.ep[i]);
    take(layout.etp, given.etp[i]);
  }
  return layout;
}

double rope_base_of_phase(const Job& job, std::size_t phase) {
  for (auto i = phase; i > 0; --i) {
    if (job.phases.rope_base[i - 1] != 0) return job.phases.rope_base[i - 1];
  }
  return job.model.rope_base;
}

Job job_of_phase(const Job& job, std::size_t phase) {
  auto made = job;
  made.train = train_of_phase(job, phase);
  made.layout = layout_of_phase(job, phase);
  made.model.rope_base = rope_base_of_phase(job, phase);
  return made;
}

double learning_rate(const Job& job, std::int64_t tokens) {
  const auto& phases = job.phases;
  std::optional<std::size_t> before, after;
  for (std::size_t i = 0; i < phases.from.size(); ++i) {
    if (phases.learning_rate[i] < 0) continue;
    if (phases.from[i] <= tokens)
      before = i;
    else if (!after)
      after = i;
  }
  if (!before) return scheduled_rate(job.optimizer.learning_rate, tokens);
  const double begin = phases.learning_rate[*before];
  if (!after) return begin;
  const auto from = phases.from[*before];
  const double share =
      static_cast<double>(tokens - from) / static_cast<double>(phases.from[*after] - from);
  return begin + (phases.learning_rate[*after] - begin) * share;
}

std::optional<std::int64_t> phase_rates_begin(const Job& job) {
  for (std::size_t i = 0; i < job.phases.from.size(); ++i) {
    if (job.phases.learning_rate[i] >= 0) return job.phases.from[i];
  }
  return std::nullopt;
}

namespace {

// Goes through `steps` steps from the start: the tokens they see, and the stretch of the last of them.
struct Walk {
  std::int64_t tokens = 0;
  std::size_t phase = 0;
};
Walk walk(const Job& job, std::int64_t steps) {
  Walk walk;
  for (std::size_t phase = 0; phase <= job.phases.from.size() && steps > 0; ++phase) {
    const auto train = train_of_phase(job, phase);
    const auto each = train.batch * train.sequence_length;
    auto here = steps;
    if (phase < job.phases.from.size()) {
      const auto left = std::max<std::int64_t>(job.phases.from[phase] - walk.tokens, 0);
      here = std::min(steps, (left + each - 1) / each);
    }
    walk.tokens += here * each;
    steps -= here;
    if (here > 0) walk.phase = phase;
  }
  return walk;
}

}  // namespace

std::int64_t tokens_of_steps(const Job& job, std::int64_t steps) {
  return walk(job, steps).tokens;
}

std::size_t phase_of_step(const Job& job, std::int64_t step) {
  return walk(job, step).phase;
}

Job job_of_step(const Job& job, std::int64_t step) {
  return job_of_phase(job, phase_of_step(job, step));
}

std::vector<std::string_view> phase_field_names() {
  std::vector<std::string_view> names;
  for (const auto& field : fields()) {
    if (field.name.starts_with("phases.")) names.push_back(field.name);
  }
  return names;
}

bool phases_have_one_length(const Job& job) {
  const auto names = phase_field_names();
  return std::all_of(names.begin(), names.end(), [&](std::string_view name) {
    return list_length(find_field(name)->access.get(job)) == job.phases.from.size();
  });
}

}  // namespace fulgur
