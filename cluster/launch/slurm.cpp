#include "cluster/launch/slurm.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cstdlib>
#include <numeric>
#include <sstream>
#include <string_view>

namespace fulgur {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int number(const char* name, int otherwise) {
  const auto text = variable(name);
  return text.empty() ? otherwise : std::atoi(text.c_str());
}

// "01-03" behind "gpu": gpu01, gpu02, gpu03. False when it is no range of numbers.
bool add_range(const std::string& before, std::string_view range, const std::string& behind,
               std::vector<std::string>& names) {
  constexpr int kMost = 1'000'000;
  const auto dash = range.find('-');
  const auto first = range.substr(0, dash);
  const auto last = dash == std::string_view::npos ? first : range.substr(dash + 1);
  int from = 0;
  int to = 0;
  const auto read = [](std::string_view text, int& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
  };
  if (!read(first, from) || !read(last, to) || from > to || to > kMost) return false;
  for (int number = from; number <= to; ++number)
    names.push_back(fmt::format("{}{:0{}}{}", before, number, first.size(), behind));
  return true;
}

bool add_item(const std::string& item, std::vector<std::string>& names) {
  const auto open = item.find('[');
  if (open == std::string::npos) {
    names.push_back(item);
    return true;
  }
  const auto close = item.find(']', open);
  if (close == std::string::npos) return false;
  std::istringstream ranges(item.substr(open + 1, close - open - 1));
  for (std::string range; std::getline(ranges, range, ',');) {
    if (!add_range(item.substr(0, open), range, item.substr(close + 1), names)) return false;
  }
  return true;
}

}  // namespace

std::vector<std::string> expand_node_list(const std::string& list) {
  std::vector<std::string> names;
  std::string item;
  int depth = 0;
  for (const char each : list + ",") {
    depth += each == '[' ? 1 : each == ']' ? -1 : 0;
    if (each != ',' || depth > 0) {
      item += each;
      continue;
    }
    if (!item.empty() && !add_item(item, names)) return {list};
    item.clear();
  }
  return names;
}

std::optional<SlurmAllocation> slurm_allocation() {
  SlurmAllocation allocation;
  allocation.job_id = variable("SLURM_JOB_ID");
  if (allocation.job_id.empty()) return std::nullopt;
  allocation.nodes = number("SLURM_JOB_NUM_NODES", 1);
  allocation.names = expand_node_list(variable("SLURM_JOB_NODELIST"));
  allocation.restarts = number("SLURM_RESTART_COUNT", 0);
  allocation.is_batch = variable("FULGUR_BATCH") == "1";  // which the script sets
  return allocation;
}

Starter srun_starter(int nodes, const std::vector<std::string>& exclude,
                     const std::filesystem::path& srun, const std::vector<std::string>& agent) {
  Starter starter;
  starter.name = "srun";
  starter.nodes.resize(static_cast<std::size_t>(nodes));
  std::iota(starter.nodes.begin(), starter.nodes.end(), 0);
  starter.tells_node = false;
  starter.process.program = srun;
  auto& arguments = starter.process.arguments;
  arguments = {fmt::format("--nodes={}", nodes),
               fmt::format("--ntasks={}", nodes),
               "--ntasks-per-node=1",
               "--overlap",
               "--wait=0",
               "--kill-on-bad-exit=0",
               "--cpu-bind=none",
               "--mpi=none",
               "--export=ALL",
               "--job-name=fulgur-agent"};
  if (!exclude.empty()) arguments.push_back(fmt::format("--exclude={}", fmt::join(exclude, ",")));
  arguments.insert(arguments.end(), agent.begin(), agent.end());
  return starter;
}

}  // namespace fulgur
