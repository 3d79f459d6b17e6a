#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace fulgur {

// The command line, parsed: one struct per command.

struct TrainOptions {
  std::filesystem::path recipe;
  std::vector<std::string> overrides;  // "a.b=c"; later ones win
  bool resume = true;                  // --resume auto
  std::vector<std::string> exclude;    // nodes, beside those of the recipe
  bool dry_run = false;                // print what would be submitted
  bool submit = false;                 // also from within a job of the scheduler
};
struct AgentOptions {};
struct StatusOptions {
  std::filesystem::path where;  // a run directory
  bool json = false;
};
struct RunsOptions {
  std::filesystem::path folder = "runs";
  bool json = false;
};
struct LogsOptions {
  std::filesystem::path where;  // a run directory
  std::optional<int> rank;
  int lines = 20;
  bool follow = false;
};
struct CancelOptions {
  std::filesystem::path where;  // a run directory
  bool now = false;             // without a checkpoint
};
struct RenderOptions {  // of a JobSet
  std::filesystem::path recipe;
  std::vector<std::string> overrides;
  std::string image;
  std::string claim = "workspace";
  std::int64_t restarts = 100;
};
struct CheckOptions {
  std::filesystem::path recipe;
  std::vector<std::string> overrides;
};
struct PlanOptions {
  std::filesystem::path recipe;
  std::vector<std::string> overrides;
  std::string cluster;                           // empty: one node for the job's device
  std::optional<double> imbalance;               // Assumptions::imbalance
  std::optional<std::int64_t> document;          // Assumptions::document
  std::vector<std::filesystem::path> calibrate;  // run directories
  std::optional<std::filesystem::path> json, svg;
};
struct SweepOptions {
  std::filesystem::path recipe;
  std::vector<std::string> overrides;
  std::string cluster;                   // as in PlanOptions
  std::optional<double> imbalance;       // Assumptions::imbalance
  std::optional<std::int64_t> document;  // Assumptions::document
  bool dry_run = false;                  // predict, run nothing
};
struct ParityOptions {
  std::filesystem::path recipe;
  std::vector<std::string> overrides;
  std::vector<std::string> layouts;  // "pp=2,tp=2"
  std::int64_t steps = 3;
  std::optional<std::filesystem::path> output;  // to keep what was recorded
};
struct PowerOptions {
  std::vector<std::string> baseline, variant;  // runs, or folders of them; names in the table
  std::optional<std::filesystem::path> table;  // a row for each run
  std::optional<std::filesystem::path> sweep;  // its folder; the groups are arguments of its trials
  std::string by = "variant";                  // the table's field with those names
  std::string metric = "loss";
  std::int64_t last = 10;  // steps that a run's value is the mean of
  std::string better = "lower";
  std::optional<std::filesystem::path> items;  // of a test set
  std::string item_metric = "log_acc_norm2";
  std::optional<double> effect;
  double confidence = 0.95, power = 0.8;
};
struct GenerateOptions {
  std::filesystem::path where;  // a run directory or a checkpoint
  std::optional<std::string> prompt;
  std::optional<std::int64_t> tokens;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<std::uint64_t> seed;
};
struct ListOptions {
  std::filesystem::path where;
};
struct ShowOptions {
  std::filesystem::path where;
};
struct VerifyOptions {
  std::filesystem::path where;
};
struct ImportOptions {
  std::filesystem::path source;  // a folder of Hugging Face transformers
  std::filesystem::path into;    // a run directory
};
struct ExportOptions {
  std::filesystem::path where;        // a run directory or a checkpoint
  std::filesystem::path destination;  // a folder of Hugging Face transformers
};
struct DoctorOptions {
  std::filesystem::path runs = "runs";  // where run directories are to be
  bool json = false;
};
struct RecipeShowOptions {
  std::filesystem::path recipe;
  std::vector<std::string> overrides;
  std::string part = "all";  // or a category
  bool json = false;
};
struct RecipeExplainOptions {
  std::string key;  // a field, a section, or the code of an error
  std::optional<std::filesystem::path> recipe;
  std::vector<std::string> overrides;
};
struct RecipeSchemaOptions {};
struct RecipeDiffOptions {
  std::filesystem::path a;
  std::filesystem::path b;
  std::vector<std::string> overrides;  // of both
};
struct RecipeFormatOptions {
  std::vector<std::filesystem::path> recipes;
  bool check = false;  // only say which are not formatted
};
struct VersionOptions {};

using Command = std::variant<TrainOptions, CheckOptions, PlanOptions, SweepOptions, ParityOptions,
                             PowerOptions, GenerateOptions, ListOptions, ShowOptions, VerifyOptions,
                             ImportOptions, ExportOptions, DoctorOptions, RecipeShowOptions,
                             RecipeExplainOptions, RecipeSchemaOptions, RecipeDiffOptions,
                             RecipeFormatOptions, AgentOptions, StatusOptions, RunsOptions,
                             LogsOptions, CancelOptions, RenderOptions, VersionOptions>;

// How the mistakes of a recipe are shown.
enum class ErrorFormat { kHuman, kShort, kJson };

struct Parsed {
  std::optional<Command> command;
  // Without a command: what to print, and the exit code (0: help was asked for).
  std::string text;
  int exit_code = 0;
  ErrorFormat error_format = ErrorFormat::kHuman;
};

Parsed parse(int argc, const char* const* argv);

}  // namespace fulgur
