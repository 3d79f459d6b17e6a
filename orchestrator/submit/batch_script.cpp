#include "orchestrator/submit/batch_script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <stdexcept>

#include "cluster/launch/shell.hpp"

namespace fulgur {
namespace {

void add_option(std::string& text, const std::string& option) {
  text += "#SBATCH " + option + "\n";
}

void add_named(std::string& text, const char* name, const std::string& value) {
  if (!value.empty()) add_option(text, fmt::format("--{}={}", name, value));
}

void add_resources(std::string& text, const ClusterSpec& cluster) {
  const auto& slurm = cluster.slurm;
  add_option(text, fmt::format("--nodes={}", cluster.nodes));
  add_option(text, "--ntasks-per-node=1");
  if (slurm.cpus_per_node > 0)
    add_option(text, fmt::format("--cpus-per-task={}", slurm.cpus_per_node));
  else
    add_option(text, "--exclusive");
  if (slurm.gpus_per_node > 0)
    add_option(text, fmt::format("--gpus-per-node={}", slurm.gpus_per_node));
  add_named(text, "partition", slurm.partition);
  add_named(text, "account", slurm.account);
  add_named(text, "qos", slurm.qos);
  if (slurm.time_seconds > 0) add_named(text, "time", slurm_minutes(slurm.time_seconds));
  add_named(text, "exclude", fmt::format("{}", fmt::join(cluster.exclude, ",")));
  for (const auto& option : slurm.options)
    add_option(text, option);
}

std::string array_range(const BatchScript& script) {
  auto range = fmt::format("0-{}", script.commands.size() - 1);
  return script.at_once > 0 ? fmt::format("{}%{}", range, script.at_once) : range;
}

void add_commands(std::string& text, const BatchScript& script) {
  if (script.commands.size() == 1) {
    text += "exec " + shell_command(script.commands.front()) + "\n";
    return;
  }
  text += "case \"$SLURM_ARRAY_TASK_ID\" in\n";
  for (std::size_t i = 0; i < script.commands.size(); ++i)
    text += fmt::format("  {}) exec {} ;;\n", i, shell_command(script.commands[i]));
  text += "esac\necho \"there is no element $SLURM_ARRAY_TASK_ID\" >&2\nexit 2\n";
}

}  // namespace

std::string slurm_minutes(double seconds) {
  return std::to_string(static_cast<long long>(std::ceil(seconds / 60)));
}

std::string batch_script(const BatchScript& script) {
  if (script.commands.empty()) throw std::invalid_argument("batch_script: expected a command");
  const bool array = script.commands.size() > 1;
  std::string text = "#!/bin/sh\n";
  add_named(text, "job-name", script.name);
  add_resources(text, script.cluster);
  if (array) add_named(text, "array", array_range(script));
  const auto& warning = script.cluster.slurm.warning_seconds;
  add_option(text, fmt::format("--signal=B:USR1@{}", static_cast<long long>(std::ceil(warning))));
  add_option(text, "--requeue");
  add_option(text, "--open-mode=append");
  const auto output = script.output / (array ? "slurm-%A_%a.log" : "slurm-%j.log");
  add_option(text, "--output=" + shell_quoted(output.string()));
  add_option(text, "--chdir=" + shell_quoted(script.directory.string()));
  text += "\n# The run goes on where it stopped, however often this is queued again.\n";
  text += "export FULGUR_BATCH=1\n";
  add_commands(text, script);
  return text;
}

}  // namespace fulgur
