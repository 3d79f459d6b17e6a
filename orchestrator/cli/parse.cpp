#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <utility>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/declare.hpp"
#include "orchestrator/cli/options.hpp"
#include "recipes/dsl/suggest.hpp"

// The only source that includes CLI11, which takes seconds to compile.

namespace fulgur {
namespace {

constexpr const char* kAbout = "Fulgur trains models of MiniMax-01's kind from a recipe.";
constexpr const char* kFooter = R"(
Examples:
  fulgur doctor                                           what this machine offers
  fulgur check recipes/quickstart.yaml                    is the recipe right?
  fulgur plan recipes/quickstart.yaml --cluster cpu       will it fit, how fast will it be?
  fulgur sweep recipes/quickstart.yaml sweep.layout=auto  which layout is the fastest?
  fulgur parity recipes/quickstart.yaml --layout dp=2     does a layout change anything?
  fulgur recipe explain train.batch recipes/quickstart.yaml     what it means, who sets it
  fulgur train recipes/quickstart.yaml                    train, or go on where the run stopped
  fulgur train recipes/quickstart.yaml train.steps=600    the same with another value
  fulgur train recipe.yaml --cluster slurm                on the nodes of a Slurm job
  fulgur status runs/quickstart                           how it is; also: list, logs, cancel
  fulgur generate runs/quickstart --prompt "Once upon"    let the newest checkpoint write
  fulgur ckpt ls runs/quickstart                          which checkpoints there are
  fulgur export hf runs/quickstart quickstart-hf          for Hugging Face transformers

Exit codes:
  0 done                                65 bad data or checkpoint
  1 failed, or a worker died            69 the workers did not come, or a node was lost
  2 wrong usage                         73 the run directory is in use
  75 stopped by a signal or at its time, checkpoint written: run the same command to go on
  77 authentication failed              78 the recipe is wrong
  93 do not start it again: it would fail the same way
  128+n ended by signal n
)";
std::vector<std::string> names_of(const CLI::App& app, bool options) {
  std::vector<std::string> names;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  if (!options) return names;
  names.clear();
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames())
      names.push_back("--" + name);
  }
  return names;
}

std::string full_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? "fulgur"
                                     : full_name(*app.get_parent()) + " " + app.get_name();
}

Parsed wrong_usage(const CLI::App& app, const std::string& problem) {
  return {.command = std::nullopt,
          .text = fmt::format("fulgur: {}\n`{} --help` says more.\n", problem, full_name(app)),
          .exit_code = kExitUsage};
}

// The innermost command that was given.
const CLI::App& innermost(const CLI::App& app) {
  const auto given = app.get_subcommands();
  return given.empty() ? app : innermost(*given.front());
}

// An argument that no command knows.
std::optional<Parsed> unknown_argument(const CLI::App& app) {
  for (const auto* at = &app; at != nullptr;) {
    const auto extras = at->remaining(false);
    if (!extras.empty()) {
      const bool option = extras.front().starts_with('-');
      const auto near = nearest(extras.front(), names_of(*at, option));
      const bool command = !option && !names_of(*at, false).empty();
      return wrong_usage(
          *at, fmt::format("unknown {} '{}'{}",
                           option    ? "option"
                           : command ? "command"
                                     : "argument",
                           extras.front(),
                           near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
    }
    const auto given = at->get_subcommands();
    at = given.empty() ? nullptr : given.front();
  }
  return std::nullopt;
}

std::optional<Command> chosen_recipe(const std::string& name, Commands& commands) {
  commands.recipe_show.overrides = commands.show_overrides.all();
  commands.recipe_explain.overrides = commands.explain_overrides.all();
  commands.recipe_diff.overrides = commands.diff_overrides.all();
  if (name == "show") return commands.recipe_show;
  if (name == "explain") return commands.recipe_explain;
  if (name == "schema") return RecipeSchemaOptions{};
  if (name == "diff") return commands.recipe_diff;
  if (name == "fmt") return commands.recipe_format;
  return std::nullopt;
}

std::optional<Command> chosen_of_runs(const CLI::App& app, Commands& commands) {
  if (app.got_subcommand("submit")) {
    commands.submit.overrides = commands.submit_overrides.all();
    commands.submit.overrides.emplace_back("cluster.kind=slurm");
    commands.submit.submit = true;
    return commands.submit;
  }
  if (app.got_subcommand("status")) return commands.status;
  if (app.got_subcommand("logs")) return commands.logs;
  if (app.got_subcommand("cancel")) return commands.cancel;
  if (app.got_subcommand("list")) return commands.runs;
  if (!app.got_subcommand("render") || innermost(app).get_name() != "jobset") return std::nullopt;
  commands.render.overrides = commands.render_overrides.all();
  return commands.render;
}

std::optional<Command> chosen(const CLI::App& app, Commands& commands) {
  if (commands.version) return VersionOptions{};
  commands.train.resume = commands.resume == "auto";
  commands.train.overrides = commands.train_overrides.all();
  std::string allowed;
  for (const auto& each : commands.allow_change)
    allowed += (allowed.empty() ? "" : ", ") + each;
  if (!allowed.empty()) commands.train.overrides.push_back("resume.allow_change=[" + allowed + "]");
  for (const auto& [field, value] : {std::pair{"cluster.kind", &commands.cluster},
                                     std::pair{"cluster.preflight", &commands.preflight},
                                     std::pair{"stopping.after", &commands.stop_after},
                                     std::pair{"stopping.at", &commands.stop_at}}) {
    if (!value->empty()) commands.train.overrides.push_back(fmt::format("{}={}", field, *value));
  }
  commands.check.overrides = commands.check_overrides.all();
  commands.plan.overrides = commands.plan_overrides.all();
  commands.sweep.overrides = commands.sweep_overrides.all();
  commands.parity.overrides = commands.parity_overrides.all();
  if (app.got_subcommand("train")) return commands.train;
  if (app.got_subcommand("check")) return commands.check;
  if (app.got_subcommand("plan")) return commands.plan;
  if (app.got_subcommand("sweep")) return commands.sweep;
  if (app.got_subcommand("parity")) return commands.parity;
  if (app.got_subcommand("power")) return commands.power;
  if (app.got_subcommand("recipe")) return chosen_recipe(innermost(app).get_name(), commands);
  if (app.got_subcommand("generate")) return commands.generate;
  if (app.got_subcommand("doctor")) return commands.doctor;
  if (app.got_subcommand("agent")) return AgentOptions{};
  if (auto of_runs = chosen_of_runs(app, commands)) return of_runs;
  const auto& name = innermost(app).get_name();
  if (name == "ls") return commands.list;
  if (name == "show") return commands.show;
  if (name == "verify") return commands.verify;
  if (name == "hf" && app.got_subcommand("import")) return commands.import_hf;
  if (name == "hf") return commands.export_hf;
  return std::nullopt;
}

// Of the command that was given; the others have kept the default.
ErrorFormat error_format(const Commands& commands) {
  for (const auto* each :
       {&commands.train_overrides, &commands.check_overrides, &commands.parity_overrides,
        &commands.plan_overrides, &commands.show_overrides, &commands.explain_overrides,
        &commands.diff_overrides, &commands.submit_overrides, &commands.render_overrides}) {
    if (each->error_format == "short") return ErrorFormat::kShort;
    if (each->error_format == "json") return ErrorFormat::kJson;
  }
  return ErrorFormat::kHuman;
}
}  // namespace

Parsed parse(int argc, const char* const* argv) {
  CLI::App app(kAbout, "fulgur");
  app.allow_extras();
  app.footer(kFooter);
  Commands commands;
  declare_commands(app, commands);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return {.command = std::nullopt, .text = innermost(app).help(), .exit_code = kExitDone};
  } catch (const CLI::ParseError& error) {
    if (auto unknown = unknown_argument(app)) return *std::move(unknown);
    return wrong_usage(innermost(app), error.what());
  }
  if (auto unknown = unknown_argument(app)) return *std::move(unknown);
  if (auto command = chosen(app, commands))
    return {.command = std::move(command), .error_format = error_format(commands)};
  return wrong_usage(innermost(app), "which command?");
}

}  // namespace fulgur
