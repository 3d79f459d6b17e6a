#include <fmt/format.h>

#include "recipes/fields.hpp"
#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

std::optional<Finding> decay_goes_down(const Job& job) {
  const auto& rate = job.optimizer.learning_rate;
  if (rate.decay_tokens == 0 || rate.final <= rate.peak) return std::nullopt;
  return Finding{"E0241",
                 fmt::format("the learning rate would decay from {} up to {}", real_text(rate.peak),
                             real_text(rate.final)),
                 fmt::format("final: at most {}", real_text(rate.peak))};
}

std::optional<Finding> decay_follows_warmup(const Job& job) {
  const auto& rate = job.optimizer.learning_rate;
  if (rate.decay_tokens == 0 || rate.decay_from >= rate.warmup_tokens) return std::nullopt;
  return Finding{"E0242",
                 fmt::format("the decay begins after {} tokens, within the warm-up of {}",
                             rate.decay_from, rate.warmup_tokens),
                 fmt::format("decay_from: {} or more", rate.warmup_tokens)};
}

std::optional<Finding> decay_has_a_length(const Job& job) {
  const auto& rate = job.optimizer.learning_rate;
  if (rate.decay_tokens != 0 || rate.decay_from == 0) return std::nullopt;
  return Finding{
      "E0242",
      fmt::format("decay_from is {}, but without decay_tokens there is no decay", rate.decay_from),
      "give decay_tokens too, or leave decay_from away"};
}

}  // namespace

std::span<const Rule> optimizer_rules() {
  static const std::vector<Rule> kRules = {
      {{"optimizer.learning_rate.final", "optimizer.learning_rate.peak",
        "optimizer.learning_rate.decay_tokens"},
       decay_goes_down},
      {{"optimizer.learning_rate.decay_from", "optimizer.learning_rate.warmup_tokens",
        "optimizer.learning_rate.decay_tokens"},
       decay_follows_warmup},
      {{"optimizer.learning_rate.decay_from", "optimizer.learning_rate.decay_tokens"},
       decay_has_a_length},
  };
  return kRules;
}

}  // namespace fulgur
