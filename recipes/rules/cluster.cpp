#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "recipes/diagnostic.hpp"
#include "recipes/hosts.hpp"
#include "recipes/layout.hpp"
#include "recipes/rules/rule.hpp"
#include "recipes/stop_time.hpp"

namespace fulgur {
namespace {

bool is_excluded(const Job& job, const std::string& host) {
  const auto& names = job.cluster.exclude;
  return std::find(names.begin(), names.end(), host) != names.end();
}

std::optional<Finding> hosts_are_hosts(const Job& job) {
  for (const auto& text : job.cluster.hosts) {
    if (parse_host(text)) continue;
    return Finding{"E0259", fmt::format("`{}` is no host", shortened(text)),
                   "host:slots or user@host:slots, as node-3:8; ports and keys stand in the ssh "
                   "configuration"};
  }
  for (const auto& text : job.cluster.exclude) {
    if (is_host_name(text)) continue;
    return Finding{"E0259", fmt::format("`{}` is no name of a host or node", shortened(text)),
                   "one name an entry, as node-3"};
  }
  return std::nullopt;
}

std::optional<Finding> hosts_hold_the_workers(const Job& job) {
  if (job.cluster.kind != ClusterKind::kSsh) return std::nullopt;
  const auto workers = world_size(job.layout);
  std::int64_t slots = 0;
  for (const auto& text : job.cluster.hosts) {
    const auto host = parse_host(text);
    if (!host) return std::nullopt;  // which another rule tells
    if (!is_excluded(job, host->host)) slots += host->slots;
  }
  if (slots >= workers) return std::nullopt;
  return Finding{
      "E0253",
      fmt::format("the layout has {} workers, and cluster.hosts has {} slots", workers, slots),
      "list more hosts, or more slots as host:slots"};
}

std::optional<Finding> nodes_share_evenly(const Job& job) {
  const auto kind = job.cluster.kind;
  if (kind != ClusterKind::kSlurm && kind != ClusterKind::kKubernetes) return std::nullopt;
  const auto workers = world_size(job.layout);
  const auto nodes = job.cluster.nodes;
  if (workers % nodes == 0) return std::nullopt;
  return Finding{
      "E0253", fmt::format("{} nodes do not share the layout's {} workers evenly", nodes, workers),
      fmt::format("nodes: {}", nearest_divisors(workers, nodes))};
}

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("._-=,:/%+[]*@").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

// They become lines of a batch script.
std::optional<Finding> slurm_texts_are_plain(const Job& job) {
  const auto& slurm = job.cluster.slurm;
  for (const auto& text : {slurm.partition, slurm.account, slurm.qos}) {
    if (is_plain(text) && !text.starts_with('-')) continue;
    return Finding{"E0259", fmt::format("`{}` is no name for Slurm", shortened(text)),
                   "letters, digits and ._-=,:/%+"};
  }
  for (const auto& text : slurm.options) {
    if (text.size() > 2 && text.starts_with("--") && is_plain(text)) continue;
    return Finding{"E0259", fmt::format("`{}` is no option of sbatch", shortened(text)),
                   "as --constraint=h200, without spaces and quotes"};
  }
  return std::nullopt;
}

// What is written into every script has a field of its own, or must be as it is for a run to go on.
std::optional<Finding> slurm_options_are_free(const Job& job) {
  static constexpr auto kTaken =
      std::to_array<std::string_view>({"--nodes",         "--ntasks",    "--ntasks-per-node",
                                       "--job-name",      "--partition", "--account",
                                       "--qos",           "--time",      "--gpus-per-node",
                                       "--cpus-per-task", "--signal",    "--requeue",
                                       "--no-requeue",    "--open-mode", "--output",
                                       "--error",         "--chdir",     "--array",
                                       "--exclude",       "--wrap"});
  for (const auto& text : job.cluster.slurm.options) {
    const auto name = std::string_view(text).substr(0, text.find('='));
    if (std::find(kTaken.begin(), kTaken.end(), name) == kTaken.end()) continue;
    return Finding{"E0259", fmt::format("{} is not free: fulgur sets it", name),
                   "see the other fields of cluster and cluster.slurm"};
  }
  return std::nullopt;
}

bool is_variable_name(std::string_view name) {
  const auto is_letter = [](unsigned char c) { return std::isalpha(c) != 0 || c == '_'; };
  return !name.empty() && name.size() <= 255 && is_letter(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(),
                     [&](unsigned char c) { return is_letter(c) || std::isdigit(c) != 0; });
}

// A recipe may come from somebody else: it names no code that workers would load.
bool loads_code(std::string_view name) {
  return name.starts_with("LD_") || name.starts_with("CUDA_INJECTION") || name == "PATH" ||
         name == "GCONV_PATH" || name == "BASH_ENV" || name == "UCX_MODULE_DIR" ||
         name.find("PLUGIN") != std::string_view::npos;
}

bool is_set_by_fulgur(std::string_view name) {
  static constexpr auto kNames = std::to_array<std::string_view>(
      {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
       "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"});
  static constexpr auto kPrefixes =
      std::to_array<std::string_view>({"FULGUR_", "TORCHELASTIC_", "ROLE_", "GROUP_", "SLURM_"});
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [name](auto prefix) { return name.starts_with(prefix); });
}

std::optional<Finding> environment_is_free(const Job& job) {
  for (std::size_t i = 0; i < job.cluster.environment.size(); ++i) {
    const auto& text = job.cluster.environment[i];
    const std::vector<std::string> here{fmt::format("cluster.environment[{}]", i)};
    const auto equals = text.find('=');
    const auto name = std::string_view(text).substr(0, equals);
    if (equals == std::string::npos || !is_variable_name(name) ||
        text.find('\0') != std::string::npos) {
      return Finding{"E0250", fmt::format("`{}` is no variable", shortened(text)),
                     "NAME=value, as NCCL_DEBUG=INFO", here};
    }
    if (is_set_by_fulgur(name)) {
      return Finding{"E0250", fmt::format("{} is not free: fulgur sets it", shortened(name)),
                     "leave it away", here};
    }
    if (loads_code(name)) {
      return Finding{"E0250", fmt::format("{} makes programs load code", shortened(name)),
                     "set it in the environment in which fulgur is started", here};
    }
  }
  return std::nullopt;
}

std::optional<Finding> stop_time_is_a_time(const Job& job) {
  if (job.stopping.at.empty() || parse_stop_time(job.stopping.at)) return std::nullopt;
  return Finding{"E0260", fmt::format("`{}` is no time", shortened(job.stopping.at)),
                 "a day and a time in UTC: 2026-01-31T08:00:00Z"};
}

}  // namespace

std::span<const Rule> cluster_rules() {
  static const std::vector<Rule> kRules = {
      {{"cluster.hosts", "cluster.exclude"}, hosts_are_hosts},
      {{"cluster.kind", "cluster.hosts", "cluster.exclude", "layout.dp", "layout.cp", "layout.tp",
        "layout.pp"},
       hosts_hold_the_workers},
      {{"cluster.kind", "cluster.nodes", "layout.dp", "layout.cp", "layout.tp", "layout.pp"},
       nodes_share_evenly},
      {{"cluster.slurm.partition", "cluster.slurm.account", "cluster.slurm.qos",
        "cluster.slurm.options"},
       slurm_texts_are_plain},
      {{"cluster.slurm.options"}, slurm_options_are_free},
      {{"cluster.environment"}, environment_is_free},
      {{"stopping.at"}, stop_time_is_a_time},
  };
  return kRules;
}

}  // namespace fulgur
