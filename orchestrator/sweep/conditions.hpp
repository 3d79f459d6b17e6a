#pragma once

#include <vector>

#include "recipes/dsl/sweep_section.hpp"
#include "recipes/job.hpp"

namespace fulgur {

struct Candidate;

// Whether a job has all values of one of the exclusions.
bool is_excluded(const std::vector<SweepExclusion>& exclude, const Job& job);

// The first condition that does not hold; nullptr when all do. Without a prediction, conditions on it are
// passed over. Throws RecipeError (E0117, E0118) for one whose operands do not fit each other or whose
// result is no truth value.
const SweepCondition* first_failed(const std::vector<SweepCondition>& conditions, const Job& job,
                                   const Candidate* predicted);

}  // namespace fulgur
