#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "cluster/doctor/host_facts.hpp"
#include "cluster/doctor/judge.hpp"
#include "cluster/exit_codes.hpp"
#include "cluster/launch/child_process.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/run/single_task.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

// A worker knows the libraries. Nothing when it does not come: that is told on stderr.
std::optional<LibraryFacts> ask_worker() {
  SingleTask task;
  task.task = "doctor";
  task.job.name = "doctor";
  std::string report;
  try {
    const int code = run_single_task(task, [&report](const std::string& text) { report += text; });
    if (code == kExitDone) return library_facts_from_json(report);
  } catch (const LaunchError& error) {
    fmt::print(stderr, "fulgur: {}\n", error.what());
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "fulgur: {}\n", error.what());
  }
  return std::nullopt;
}

void print_table(const std::vector<Observation>& observations) {
  std::size_t width = 0;
  for (const auto& each : observations)
    width = std::max(width, each.topic.size());
  for (const auto& each : observations) {
    fmt::print("{:<7}  {:<{}}  {}\n", to_string(each.verdict), each.topic, width, each.found);
    if (!each.advice.empty()) fmt::print("{:<7}  {:<{}}  -> {}\n", "", "", width, each.advice);
  }
}

void print_json(const std::vector<Observation>& observations) {
  json::array all;
  for (const auto& each : observations) {
    json::object entry;
    entry["topic"] = each.topic;
    entry["verdict"] = to_string(each.verdict);
    entry["found"] = each.found;
    if (!each.advice.empty()) entry["advice"] = each.advice;
    all.push_back(std::move(entry));
  }
  json::object whole;
  whole["can_run"] = can_run(observations);
  whole["observations"] = std::move(all);
  fmt::print("{}\n", json::serialize(whole));
}

}  // namespace

int run_command(const DoctorOptions& options) {
  const auto host = gather_host_facts(options.runs);
  const auto observations = judge(host, ask_worker());
  const bool good = can_run(observations);
  if (options.json) {
    print_json(observations);
  } else {
    print_table(observations);
    fmt::print("\n{}\n", good ? "nothing is missing that a run needs"
                              : "something is missing that every run needs");
  }
  return good ? kExitDone : kExitFailed;
}

}  // namespace fulgur
