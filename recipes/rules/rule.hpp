#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/job.hpp"

namespace fulgur {

struct Finding {
  std::string code;
  std::string message;
  std::string help = {};
  std::vector<std::string> fields = {};  // to be shown in place of the rule's: "phases.from[1]"
};

// A rule between fields. `check` reads no others than `fields`, and is called only when each of them is
// in its range.
struct Rule {
  std::vector<std::string_view> fields;
  std::optional<Finding> (*check)(const Job& job);
};

std::span<const Rule> model_rules();
std::span<const Rule> batch_rules();
std::span<const Rule> phase_rules();
std::span<const Rule> mix_rules();
std::span<const Rule> layout_rules();
std::span<const Rule> pipeline_rules();
std::span<const Rule> data_rules();
std::span<const Rule> optimizer_rules();
std::span<const Rule> run_rules();
std::span<const Rule> cluster_rules();

// "3 or 6": the nearest divisors of `whole` on both sides of `wanted`, `wanted` itself when it is one.
std::string nearest_divisors(std::int64_t whole, std::int64_t wanted);

// "6 or 9": the nearest positive multiples of `unit` on both sides of `wanted`.
std::string nearest_multiples(std::int64_t unit, std::int64_t wanted);

}  // namespace fulgur
