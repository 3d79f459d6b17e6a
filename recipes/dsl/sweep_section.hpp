#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/diagnostic.hpp"
#include "recipes/dsl/expression.hpp"
#include "recipes/dsl/yaml_tree.hpp"

namespace fulgur {

// What `fulgur sweep` tries: the section `sweep` of a recipe, which is no part of the Job.
//
//   sweep:
//     axes:                      every combination of their values
//       train.micro_batch: [4, 8]
//     zip:                       fields whose lists are walked together; a list of such mappings
//       - {layout.tp: [1, 2], layout.dp: [4, 2]}
//     layout: auto               and every legal layout of as many ranks as the recipe has
//     exclude:                   combinations to leave out: all values of a mapping at once
//       - {layout.tp: 4, layout.cp: 2}
//     where:                     conditions that all must hold (recipes/dsl/expression.hpp); predicted.x is
//       - predicted.memory < 100GiB         a figure of the plan
//     steps: 20                  of each run
//     warmup: 5                  of them that are not measured
//     best: 8                    how many are run: those that are predicted to be the fastest
//     slower: 3                  left out without a run: slower than the fastest by this factor

// A value for each field, as arguments of the command line: "train.micro_batch=4".
using SweepPoint = std::vector<std::string>;

// Points of which a combination takes one.
struct SweepAxis {
  std::vector<std::string> fields;
  std::vector<SweepPoint> points;
};

struct SweepExclusion {
  struct Value {
    std::string field, text;
  };
  std::vector<Value> values;
};

struct SweepCondition {
  std::string text;
  Expression expression;
};

struct SweepSection {
  std::vector<SweepAxis> axes;
  bool layouts = false;
  std::vector<SweepExclusion> exclude;
  std::vector<SweepCondition> where;
  std::int64_t steps = 20, warmup = 5, best = 8;
  double slower = 3;
};

inline constexpr std::size_t kMaxSweepPoints = 10'000;  // of all axes together

// The keys of the section, in order, each with what it is.
struct SweepKey {
  std::string_view name, help;
};
std::span<const SweepKey> sweep_keys() noexcept;

// The figures of a plan that conditions can name: "predicted.memory", with the kind that they count.
struct PredictedName {
  std::string_view name;
  Unit unit;
  std::string_view help;
};
std::span<const PredictedName> predicted_names() noexcept;

// Reads the section. Mistakes go to `problems`; what is wrong is left out.
SweepSection read_sweep_section(const YamlNode& section, Problems& problems);

}  // namespace fulgur
