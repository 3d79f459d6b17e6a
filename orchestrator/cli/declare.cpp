#include "orchestrator/cli/declare.hpp"

#include <CLI/CLI.hpp>

// CLI11 takes seconds to compile: only this source and parse.cpp include it.

namespace fulgur {
namespace {

constexpr const char* kParity = R"(
Trains the first steps on one rank and on each layout, and compares them: the output of every operation
of the first forward pass, the router's counts, losses, the gradient of every tensor, and its norm. Names
the first operation that differs. Exit code 0: equal up to rounding; 1: different.

The reference is one rank in float32 that adds losses and norms up in double precision. Allowed are
relative errors of 1e-5 for losses, 1e-5 sqrt(1 + layer) for the forward pass, and 1e-4 for gradients:
float32 rounds by 6e-8, which grows with the root of the number of terms and of layers. Values that make
the job small go behind the recipe, as in model.layers=4.)";

constexpr const char* kSweep = R"(
Tries what the section `sweep` of the recipe says (docs/sweep.md): every combination of its axes, and with
layout: auto every legal layout. What breaks a rule or does not fit is left out; the rest is planned, and
those that are predicted to be the fastest are run for some steps, one after another. The same command
goes on where a sweep was stopped.)";

constexpr const char* kPower = R"(
Runs of the same recipe with several seeds show the noise of training. Says which effect they can find
and how many seeds another one takes; with a variant, whether it is really better (exit code 1: not
shown); with the items of a test set, how many of them are enough. docs/power.md has the formulas.)";

constexpr const char* kPlan = R"(
Says what every stage holds and does, what limits, and what a rank sends; docs/plan.md explains the
figures. Nothing is started, and the data need not be there. A job that cannot fit is refused, with the
nearest change that makes it fit.)";
CLI::App& add_command(CLI::App& parent, const char* name, const char* about) {
  auto* command = parent.add_subcommand(name, about);
  command->allow_extras();
  return *command;
}

void add_overrides(CLI::App& command, Overrides& overrides) {
  command
      .add_option("--error-format", overrides.error_format,
                  "How mistakes are shown: human; short, a line each for editors; json")
      ->check(CLI::IsMember({"human", "short", "json"}))
      ->capture_default_str();
  command.add_option("OVERRIDES", overrides.plain, "Values that differ, as in train.steps=50")
      ->type_name("FIELD=VALUE");
  command.add_option("--set", overrides.set, "The same for scripts; wins over those without --set")
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false);
}

void add_recipe(CLI::App& command, std::filesystem::path& recipe, Overrides& overrides) {
  command.add_option("RECIPE", recipe, "The recipe, a YAML file")->required();
  add_overrides(command, overrides);
}

void add_cluster(CLI::App& command, Commands& commands) {
  command
      .add_option("--cluster", commands.cluster,
                  "Where the workers run: local, ssh, slurm, kubernetes (cluster.kind)")
      ->check(CLI::IsMember({"local", "ssh", "slurm", "kubernetes"}));
  command
      .add_option("--exclude", commands.train.exclude,
                  "A host or node not to use, beside cluster.exclude; give several")
      ->type_name("NODE")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_option("--stop-after", commands.stop_after,
                  "Stop with a checkpoint after so long, as 90min (stopping.after)")
      ->type_name("TIME");
  command
      .add_option("--stop-at", commands.stop_at,
                  "Stop with a checkpoint at a time, as 2026-01-31T08:00:00Z (stopping.at)")
      ->type_name("TIME");
}

void declare_train(CLI::App& app, Commands& commands) {
  auto& train = add_command(app, "train", "Train a model, or go on with a run that stopped");
  add_recipe(train, commands.train.recipe, commands.train_overrides);
  train
      .add_option("--resume", commands.resume,
                  "auto: go on from the newest checkpoint; never: start afresh (what is there is "
                  "moved aside)")
      ->check(CLI::IsMember({"auto", "never"}))
      ->capture_default_str();
  train
      .add_option("--allow-change", commands.allow_change,
                  "A fixed field that may differ from the checkpoint's; give several")
      ->type_name("FIELD")
      ->allow_extra_args(false);
  add_cluster(train, commands);
  train.add_flag("--dry-run", commands.train.dry_run,
                 "Print the batch script for --cluster slurm, and submit nothing");
  auto& check = add_command(app, "check", "Find all mistakes of a recipe, and say what it makes");
  add_recipe(check, commands.check.recipe, commands.check_overrides);
}

// What a prediction is made for, and on what.
void add_assumptions(CLI::App& command, std::string& cluster, std::optional<double>& imbalance,
                     std::optional<std::int64_t>& document) {
  command.add_option(
      "--cluster", cluster,
      "As in h800x2048, h200x8, cpu, or a file; default: one node for the job's device");
  command
      .add_option("--imbalance", imbalance,
                  "Rows that the fullest rank's experts get, over the mean (default 1.2)")
      ->check(CLI::Range(1.0, 64.0));
  command
      .add_option("--document", document,
                  "Tokens of the document that a token is in, the mean (default: a sequence)")
      ->check(CLI::PositiveNumber);
}

void declare_plan(CLI::App& app, Commands& commands) {
  auto& plan =
      add_command(app, "plan", "Predict memory, time and traffic on a cluster, without it");
  add_recipe(plan, commands.plan.recipe, commands.plan_overrides);
  plan.footer(kPlan);
  add_assumptions(plan, commands.plan.cluster, commands.plan.imbalance, commands.plan.document);
  plan.add_option("--calibrate", commands.plan.calibrate,
                  "A run on this hardware: efficiencies and routing are fitted to it; give several")
      ->type_name("RUN")
      ->allow_extra_args(false);
  plan.add_option("--json", commands.plan.json, "A file for all figures");
  plan.add_option("--svg", commands.plan.svg, "A file for a picture");
}

void declare_sweep(CLI::App& app, Commands& commands) {
  auto& sweep = add_command(app, "sweep", "Find the fastest of many layouts or settings");
  add_recipe(sweep, commands.sweep.recipe, commands.sweep_overrides);
  sweep.footer(kSweep);
  add_assumptions(sweep, commands.sweep.cluster, commands.sweep.imbalance, commands.sweep.document);
  sweep.add_flag("--dry-run", commands.sweep.dry_run, "Only predict: start nothing");
}

void declare_recipe(CLI::App& app, Commands& commands) {
  auto& recipe = add_command(app, "recipe", "Look at recipes");
  auto& show = add_command(recipe, "show", "A recipe with every field, and its hashes");
  add_recipe(show, commands.recipe_show.recipe, commands.show_overrides);
  show.add_option("--part", commands.recipe_show.part, "What a resume does to it: a part alone")
      ->check(CLI::IsMember({"all", "identity", "layout", "runtime"}))
      ->capture_default_str();
  show.add_flag("--json", commands.recipe_show.json, "As workers and checkpoints have it");
  auto& explain = add_command(recipe, "explain", "What a field means, and who sets it");
  explain.add_option("KEY", commands.recipe_explain.key, "A field, a section, or an error code")
      ->required();
  explain.add_option("RECIPE", commands.recipe_explain.recipe, "Whose value is wanted");
  add_overrides(explain, commands.explain_overrides);
  add_command(recipe, "schema", "A JSON Schema, for editors");
  auto& diff = add_command(recipe, "diff", "What two recipes set differently; exit code 1 if so");
  diff.add_option("A", commands.recipe_diff.a, "A recipe")->required();
  diff.add_option("B", commands.recipe_diff.b, "Another")->required();
  add_overrides(diff, commands.diff_overrides);
  auto& format = add_command(recipe, "fmt", "Lay recipes out in the one way they have");
  format.add_option("RECIPES", commands.recipe_format.recipes, "The files")->required();
  format.add_flag("--check", commands.recipe_format.check,
                  "Change nothing; exit code 1 if one is not formatted");
}

void declare_parity(CLI::App& app, Commands& commands) {
  auto& parity = add_command(app, "parity", "Prove that layouts change nothing");
  add_recipe(parity, commands.parity.recipe, commands.parity_overrides);
  parity.footer(kParity);
  parity.add_option("--layout", commands.parity.layouts, "As in pp=2,tp=2; give several")
      ->required()
      ->allow_extra_args(false);
  parity.add_option("--steps", commands.parity.steps, "How many steps to compare")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  parity.add_option("--output", commands.parity.output, "A new folder to keep the recorded steps");
}

void declare_power(CLI::App& app, PowerOptions& options) {
  auto& power = add_command(app, "power", "Is a variant really better than the noise of training?");
  power.footer(kPower);
  power
      .add_option("--baseline", options.baseline,
                  "Runs that differ in the seed, or a folder of them")
      ->required();
  power.add_option("--variant", options.variant, "The same of the variant");
  power.add_option("--table", options.table,
                   "A JSON object per line and run; --baseline and --variant are names in it");
  power
      .add_option("--sweep", options.sweep,
                  "The folder of a sweep; --baseline and --variant are arguments of its trials")
      ->excludes("--table");
  power.add_option("--by", options.by, "The field of the table with those names")
      ->capture_default_str();
  power.add_option("--metric", options.metric, "A field of metrics.jsonl, or of the table")
      ->capture_default_str();
  power.add_option("--last", options.last, "A run's value is the mean over so many last steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  power.add_option("--better", options.better, "Which values are better")
      ->check(CLI::IsMember({"lower", "higher"}))
      ->capture_default_str();
  power.add_option("--items", options.items, "A test set: a JSON object per line and item");
  power.add_option("--item-metric", options.item_metric, "The field of an item that counts")
      ->capture_default_str();
  power.add_option("--effect", options.effect, "To be found (default: the one that was measured)")
      ->check(CLI::PositiveNumber);
  power.add_option("--confidence", options.confidence, "That what is found is there")
      ->check(CLI::Range(0.5, 0.999999))
      ->capture_default_str();
  power.add_option("--power", options.power, "That what is there is found")
      ->check(CLI::Range(0.5, 0.999999))
      ->capture_default_str();
}

void declare_generate(CLI::App& app, GenerateOptions& options) {
  auto& generate = add_command(app, "generate", "Let a trained model go on with a text");
  generate.add_option("WHERE", options.where, "A run directory or a checkpoint")->required();
  generate.add_option("--prompt", options.prompt, "The text to go on with");
  generate.add_option("--tokens", options.tokens, "How many tokens to add")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
  generate
      .add_option("--temperature", options.temperature, "0: always the likeliest; 1: as the model")
      ->check(CLI::NonNegativeNumber);
  generate.add_option("--top-p", options.top_p, "Draw from the likeliest tokens that make up this")
      ->check(CLI::Range(0.0, 1.0));
  generate.add_option("--seed", options.seed, "Another seed, another text");
}

void declare_checkpoints(CLI::App& app, Commands& commands) {
  auto& checkpoints = add_command(app, "ckpt", "Look at checkpoints");
  const auto add = [&](const char* name, const char* about, std::filesystem::path& where) {
    add_command(checkpoints, name, about)
        .add_option("WHERE", where, "A run directory or a checkpoint")
        ->required();
  };
  add("ls", "List them", commands.list.where);
  add("show", "What one holds", commands.show.where);
  add("verify", "Read them in full and check every hash", commands.verify.where);
}

void declare_exchange(CLI::App& app, Commands& commands) {
  auto& import = add_command(app, "import", "Take over a model from elsewhere");
  auto& import_hf = add_command(import, "hf", "A MiniMax model of Hugging Face transformers");
  import_hf.add_option("DIR", commands.import_hf.source, "The folder with config.json")->required();
  import_hf.add_option("--into", commands.import_hf.into, "The run directory to make")->required();
  auto& give = add_command(app, "export", "Give a model to elsewhere");
  auto& export_hf = add_command(give, "hf", "As a model of Hugging Face transformers");
  export_hf.add_option("WHERE", commands.export_hf.where, "A run directory or a checkpoint")
      ->required();
  export_hf.add_option("DIR", commands.export_hf.destination, "The folder to make")->required();
}

void declare_runs(CLI::App& app, Commands& commands) {
  auto& submit =
      add_command(app, "submit", "Give a run to Slurm, also from within one of its jobs");
  add_recipe(submit, commands.submit.recipe, commands.submit_overrides);
  submit.add_flag("--dry-run", commands.submit.dry_run, "Print the batch script, submit nothing");
  const auto add = [&](const char* name, const char* about,
                       std::filesystem::path& where) -> CLI::App& {
    auto& command = add_command(app, name, about);
    command.add_option("RUN", where, "A run directory")->required();
    return command;
  };
  auto& status = add("status", "How a run is, and its job of Slurm", commands.status.where);
  status.add_flag("--json", commands.status.json, "For programs");
  auto& logs = add("logs", "What a run or one of its workers wrote", commands.logs.where);
  logs.add_option("--rank", commands.logs.rank, "Of this worker")->check(CLI::NonNegativeNumber);
  logs.add_option("--lines", commands.logs.lines, "How many of the last lines")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  logs.add_flag("--follow", commands.logs.follow, "Go on with what comes, until the run ends");
  auto& cancel = add("cancel", "Stop a run with a checkpoint, or take it off the queue",
                     commands.cancel.where);
  cancel.add_flag("--now", commands.cancel.now, "At once, without a checkpoint");
  auto& list = add_command(app, "list", "The runs in a folder");
  list.add_option("FOLDER", commands.runs.folder, "Where run directories are")
      ->capture_default_str();
  list.add_flag("--json", commands.runs.json, "For programs, a line each");
  auto& render = add_command(app, "render", "Write a run down for another system");
  auto& jobset = add_command(render, "jobset", "As a JobSet of Kubernetes (docs/clusters.md)");
  add_recipe(jobset, commands.render.recipe, commands.render_overrides);
  jobset.add_option("--image", commands.render.image, "The container image with fulgur")
      ->required();
  jobset
      .add_option("--claim", commands.render.claim,
                  "The PersistentVolumeClaim with recipe, data and runs, at /workspace")
      ->capture_default_str();
  jobset.add_option("--restarts", commands.render.restarts, "How often the set may start again")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
}

void declare_doctor(CLI::App& app, DoctorOptions& options) {
  auto& doctor = add_command(app, "doctor", "What this machine offers, and what is missing");
  doctor.add_option("--runs", options.runs, "Where run directories are to be")
      ->capture_default_str();
  doctor.add_flag("--json", options.json, "For programs");
}

}  // namespace

void declare_commands(CLI::App& app, Commands& commands) {
  app.add_flag("--version", commands.version, "Version and build facts");
  declare_train(app, commands);
  declare_plan(app, commands);
  declare_sweep(app, commands);
  declare_parity(app, commands);
  declare_power(app, commands.power);
  declare_recipe(app, commands);
  declare_generate(app, commands.generate);
  declare_checkpoints(app, commands);
  declare_exchange(app, commands);
  declare_doctor(app, commands.doctor);
  declare_runs(app, commands);
  add_command(app, "agent", "What fulgur itself starts on each node").group("");
}

}  // namespace fulgur
