#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fulgur {

// What came of training the same recipe with several seeds: a value of each run. Runs are what is
// independent, so a run has one value however many steps it has.
struct Group {
  std::string name;
  std::vector<std::string> runs;  // where each value is from
  std::vector<double> values;
  std::int64_t without_seed = 0;  // runs of which nobody can tell whether they are there twice
};

// The value of a run directory is the mean of `metric` over its last `steps` steps. A path is a run
// directory, or a folder with some in it or below.
//
// `groups` holds the paths of the baseline and, if there is one, of the variant. Throws UsageError where a
// path has no run, where runs do not end with the same step, where the runs of a group differ in another
// fixed field than the seed or in their data, or where two of them have the same seed.
struct RunGroups {
  std::vector<Group> groups;  // "baseline", "variant"
  std::vector<std::string>
      differences;  // fixed fields, and those of the data, that the variant has otherwise
};
RunGroups read_runs(const std::vector<std::vector<std::filesystem::path>>& groups,
                    const std::string& metric, std::int64_t steps);

// The run directories of the trials in a sweep's folder that have all of these arguments, as
// "data.files=[web/*.txt]". Throws UsageError where there are none, naming the arguments that there are.
std::vector<std::filesystem::path> find_trials(const std::filesystem::path& sweep,
                                               const std::vector<std::string>& arguments);

// A table has a JSON object per line and run. `metric` and `by` are fields of it, "a.b" also b in the
// object a; a row is of the group that its `by` names. Rows with the same "seed" in a group are refused.
// Throws UsageError where a name has no rows.
std::vector<Group> read_table(const std::filesystem::path& path,
                              const std::vector<std::string>& names, const std::string& by,
                              const std::string& metric);

// The values of the items of a test set, a JSON object per line. An item has the field `metric`; or it
// has "choices", the byte-normalised log-likelihoods of its answers, and "answer", which of them is right,
// from 0: its value is then the logarithm of the softmax over the choices, at the right one.
// Throws UsageError where there are fewer than two.
std::vector<double> read_items(const std::filesystem::path& path, const std::string& metric);

}  // namespace fulgur
