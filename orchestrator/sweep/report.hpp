#pragma once

#include <string>
#include <vector>

#include "orchestrator/sweep/candidates.hpp"
#include "orchestrator/sweep/trials.hpp"

namespace fulgur {

// What a sweep found, for people and programs. Trials are in the order in which they stand there; those
// that failed have their exit code.

// How many combinations there were, and why others are not run.
std::string rejections_text(const SweepPlan& plan);
// The candidates as they are predicted, at most `most` of them.
std::string predictions_text(const SweepPlan& plan, std::size_t most);

// The fastest a rank first; what failed last.
void sort_trials(std::vector<Trial>& trials);
std::string trials_text(const std::vector<Trial>& sorted);
// Whether the first is really faster than the others: which of them it cannot be told from.
std::string verdict_text(const std::vector<Trial>& sorted);
// How far predictions lie from what was measured; empty when no trial is complete.
std::string accuracy_text(const std::vector<Trial>& sorted);

std::string trials_csv(const std::vector<Trial>& sorted);
std::string trials_jsonl(const std::vector<Trial>& sorted);
// Tokens a rank and second over memory; what no other trial beats in both is joined by a line.
std::string pareto_svg(const std::vector<Trial>& sorted);

}  // namespace fulgur
