#pragma once

#include <vector>

#include "recipes/fields.hpp"
#include "recipes/fields/access.hpp"

namespace fulgur::declared {

// The declarations, one function per part of a recipe; fields.cpp strings them together.
std::vector<Field> run_fields();
std::vector<Field> model_fields();
std::vector<Field> expert_fields();
std::vector<Field> norm_fields();
std::vector<Field> data_fields();
std::vector<Field> source_fields();
std::vector<Field> train_fields();
std::vector<Field> phase_fields();
std::vector<Field> phase_mix_fields();
std::vector<Field> phase_layout_fields();
std::vector<Field> learning_rate_fields();
std::vector<Field> optimizer_fields();
std::vector<Field> layout_fields();
std::vector<Field> parallel_fields();
std::vector<Field> operation_fields();
std::vector<Field> cluster_fields();
std::vector<Field> slurm_fields();
std::vector<Field> stop_fields();
std::vector<Field> fault_fields();
std::vector<Field> sample_fields();

inline constexpr auto kRequired = Presence::kRequired;
inline constexpr auto kDerived = Presence::kDerived;
inline constexpr auto kIdentity = Category::kIdentity;

inline constexpr Range kPositive = {.min = 0, .open_min = true};
inline constexpr Range kNotNegative = {.min = 0};
inline constexpr Range kBelowOne = {.min = 0, .max = 1, .open_max = true};
inline constexpr Range kExact = {.min = 0, .max = 9007199254740992.0};  // 2^53: exact in a double
inline constexpr Range kAxis = {.min = 1, .max = 65536};
inline constexpr Range kSeconds = {.min = 0.01, .max = 86400};

constexpr Range from_one_to(double max) {
  return {.min = 1, .max = max};
}

}  // namespace fulgur::declared
