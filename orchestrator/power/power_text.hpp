#pragma once

#include <optional>
#include <string>
#include <vector>

#include "orchestrator/power/results.hpp"
#include "orchestrator/power/statistics.hpp"

namespace fulgur {

// What was measured, and what is asked of it.
struct Experiment {
  std::string metric;
  bool lower_is_better = true;
  std::vector<Group> groups;         // the baseline and, if there is one, the variant
  std::vector<std::string> changes;  // the fields in which the variant differs
  std::vector<double> items;         // of a test set; may be empty
  std::optional<double> effect;      // to be found; default: the one that was measured
  Aim aim;
};

// The noise between seeds, the effect with its bound and its one-sided verdict, what these numbers of
// runs can find, how many seeds the effect needs, and how large a test set must be for its own
// detectable effect to be no more than the noise between seeds.
//
// Throws UsageError where a group has fewer than two runs.
struct PowerReport {
  Sample baseline;
  std::optional<Sample> variant;
  double noise = 0;                   // standard deviation between seeds, pooled
  double detectable = 0;              // with as many runs in each group as the smaller one has
  std::optional<Welch> test;          // differences count as improvements
  std::optional<double> wanted;       // the effect that `seeds` is for
  std::optional<std::int64_t> seeds;  // in each group; none where it would be over 1e15
  std::optional<Sample> items;
  std::optional<std::int64_t> test_set;  // items that are needed; none as above
  bool better = false;                   // with the confidence of the aim
};
PowerReport analyse(const Experiment& experiment);

// The report for people, a few lines.
std::string power_text(const Experiment& experiment, const PowerReport& report);

}  // namespace fulgur
