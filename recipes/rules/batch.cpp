#include <fmt/format.h>

#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

std::optional<Finding> micro_batch_divides_batch(const Job& job) {
  const auto batch = job.train.batch, micro = job.train.micro_batch;
  if (batch % micro == 0) return std::nullopt;
  return Finding{"E0211",
                 fmt::format("micro_batch {} does not divide batch {} (remainder {})", micro, batch,
                             batch % micro),
                 fmt::format("nearest micro_batch: {}; nearest batch: {}",
                             nearest_divisors(batch, micro), nearest_multiples(micro, batch))};
}

std::optional<Finding> dp_divides_micro_batch(const Job& job) {
  const auto micro = job.train.micro_batch;
  const auto dp = static_cast<std::int64_t>(job.layout.dp);
  if (micro % dp == 0) return std::nullopt;
  return Finding{
      "E0212",
      fmt::format("dp {} does not divide micro_batch {}: every rank needs as many sequences", dp,
                  micro),
      fmt::format("nearest dp: {}; nearest micro_batch: {}", nearest_divisors(micro, dp),
                  nearest_multiples(dp, micro))};
}

std::optional<Finding> tokens_can_be_counted(const Job& job) {
  constexpr double kMost = 4e18;  // below 2^62
  const double total = static_cast<double>(job.train.steps) * static_cast<double>(job.train.batch) *
                       static_cast<double>(job.train.sequence_length);
  if (total <= kMost) return std::nullopt;
  return Finding{
      "E0213",
      fmt::format("steps x batch x sequence_length = {:.1e} tokens are too many to be counted",
                  total),
      fmt::format("at most {:.0e}", kMost)};
}

}  // namespace

std::span<const Rule> batch_rules() {
  static const std::vector<Rule> kRules = {
      {{"train.micro_batch", "train.batch"}, micro_batch_divides_batch},
      {{"layout.dp", "train.micro_batch"}, dp_divides_micro_batch},
      {{"train.steps", "train.batch", "train.sequence_length"}, tokens_can_be_counted},
  };
  return kRules;
}

}  // namespace fulgur
