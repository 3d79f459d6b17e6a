#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "orchestrator/cli/options.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11 is called so
class App;
}

namespace fulgur {

// Values that differ from the recipe's, in the two ways in which they can be given.
struct Overrides {
  std::vector<std::string> plain;
  std::vector<std::string> set;
  std::string error_format = "human";  // of the mistakes in all that

  std::vector<std::string> all() const {
    auto joined = plain;
    joined.insert(joined.end(), set.begin(), set.end());
    return joined;
  }
};

// Where the arguments of every command go; parse.cpp picks those of the one that was given.
struct Commands {
  RecipeShowOptions recipe_show;
  RecipeExplainOptions recipe_explain;
  RecipeDiffOptions recipe_diff;
  RecipeFormatOptions recipe_format;
  Overrides show_overrides;
  Overrides explain_overrides;
  Overrides diff_overrides;
  std::vector<std::string> allow_change;
  TrainOptions submit;
  Overrides submit_overrides;
  StatusOptions status;
  RunsOptions runs;
  LogsOptions logs;
  CancelOptions cancel;
  RenderOptions render;
  Overrides render_overrides;
  std::string cluster;
  std::string preflight;
  std::string stop_after;
  std::string stop_at;
  TrainOptions train;
  CheckOptions check;
  PlanOptions plan;
  SweepOptions sweep;
  Overrides plan_overrides;
  Overrides sweep_overrides;
  ParityOptions parity;
  PowerOptions power;
  GenerateOptions generate;
  ListOptions list;
  ShowOptions show;
  VerifyOptions verify;
  ImportOptions import_hf;
  ExportOptions export_hf;
  DoctorOptions doctor;
  Overrides train_overrides;
  Overrides check_overrides;
  Overrides parity_overrides;
  std::string resume = "auto";
  bool version = false;
};

// Declares all commands and their options. What stands in `commands` is written when the command line is
// parsed.
void declare_commands(CLI::App& app, Commands& commands);

}  // namespace fulgur
