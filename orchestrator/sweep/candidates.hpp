#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "recipes/cost/plan.hpp"
#include "recipes/dsl/load.hpp"

namespace fulgur {

// A combination of a sweep that can run, with what its plan predicts.
struct Candidate {
  SweepPoint arguments;  // that make it of the recipe: "layout.tp=2"
  Job job;
  double step_seconds = 0;
  double tokens_per_second = 0;  // all ranks together
  double mfu = 0, bubble = 0;
  double memory = 0;  // bytes of the fullest rank
  double mean_memory = 0;

  int world() const;
  double tokens_per_rank() const;  // a second
};

// Combinations that are not run, for one reason.
struct Rejection {
  std::string reason;  // "E0266", "excluded", "where layout.tp <= 8", "slower"
  std::int64_t count = 0;
  std::string example, message;  // of the first of them
};

struct SweepPlan {
  std::vector<Candidate> candidates;  // the one with the most tokens a rank and second first
  std::vector<Rejection> rejected;    // in the order in which the reasons came up
  std::int64_t combinations = 0;      // of axes and layouts
  SweepSection section;               // of the recipe
  std::string run_directory;          // of the recipe itself
};

// Makes every combination of the recipe's section `sweep`, refuses those that break a rule (by its code),
// do not fit (E0293), are excluded, fail a condition, or are predicted to be `slower` times slower
// than the best; plans the others on the cluster.
//
// With layout: auto, micro-batches have as many sequences for each dp rank as the recipe's, unless the
// sweep sets train.micro_batch. Memory is looked at before time, which costs more to predict.
//
// Throws RecipeError for a recipe or a section that is wrong, and E0135 without a section.
SweepPlan plan_sweep(const std::filesystem::path& recipe, const std::vector<std::string>& overrides,
                     const std::string& cluster, const Assumptions& assumptions, DataFiles data);

// A combination in one line: its arguments; "the recipe as it is" without any.
std::string to_string(const SweepPoint& arguments);

}  // namespace fulgur
