#include "orchestrator/submit/run_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "cluster/launch/child_process.hpp"
#include "orchestrator/coordinator/verdict.hpp"
#include "orchestrator/run/run_directory.hpp"
#include "orchestrator/run/text_file.hpp"
#include "orchestrator/submit/scheduler.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

json::object read_object(const std::filesystem::path& path) {
  boost::system::error_code error;
  auto value = json::parse(text_of_file(path).value_or(""), error);
  return !error && value.is_object() ? value.as_object() : json::object{};
}

std::string text_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

std::int64_t number_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? value->as_int64() : 0;
}

// The last whole line of metrics.jsonl.
void read_progress(RunStatus& status) {
  const auto lines = last_lines(status.directory / "metrics.jsonl", 2);
  for (const auto& line : lines) {
    boost::system::error_code error;
    const auto value = json::parse(line, error);
    if (error || !value.is_object()) continue;
    status.step = number_of(value.as_object(), "step");
    const auto* loss = value.as_object().if_contains("loss");
    if (loss != nullptr && loss->is_number()) status.loss = loss->to_number<double>();
  }
}

// Without Slurm on this machine there is nobody to ask.
std::string ask_scheduler(const std::optional<Submission>& submission) {
  if (!submission) return {};
  try {
    return slurm_state(submission->job);
  } catch (const LaunchError&) {
    return {};
  }
}

bool is_run(const std::filesystem::path& directory) {
  return std::filesystem::exists(directory / "run.json") ||
         std::filesystem::exists(directory / "submission.json");
}

}  // namespace

std::string state_of(const std::string& recorded, const std::string& scheduler_state, bool held) {
  if (held) return "RUNNING";
  const auto& now = scheduler_state;
  if (now == "PENDING" || now == "REQUEUED" || now == "SUSPENDED") return "PENDING";
  if (now == "RUNNING" || now == "CONFIGURING") return "RUNNING";
  if (recorded == "complete") return "SUCCEEDED";
  if (recorded == "stopped") return "STOPPED";
  if (recorded == "failed") return "FAILED";
  if (recorded == "running") return "LOST";
  return now == "CANCELLED" ? "CANCELLED" : "FAILED";
}

RunStatus run_status(const std::filesystem::path& directory) {
  if (!is_run(directory)) {
    throw std::invalid_argument(
        fmt::format("{}: is no run directory: it has no run.json", directory.string()));
  }
  const auto run = read_object(directory / "run.json");
  RunStatus status;
  status.directory = directory;
  status.name = text_of(run, "name");
  if (status.name.empty()) status.name = std::filesystem::absolute(directory).filename().string();
  status.attempt = static_cast<int>(number_of(run, "attempt"));
  status.updated = text_of(run, "updated");
  status.submission = read_submission(directory);
  status.scheduler_state = ask_scheduler(status.submission);
  status.holder = holder_of(directory);
  status.state = state_of(text_of(run, "state"), status.scheduler_state, status.holder.has_value());
  read_progress(status);
  return status;
}

std::vector<RunStatus> all_runs(const std::filesystem::path& folder) {
  std::vector<RunStatus> runs;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_directory() && is_run(entry.path())) runs.push_back(run_status(entry.path()));
  }
  std::sort(runs.begin(), runs.end(),
            [](const auto& a, const auto& b) { return a.directory < b.directory; });
  return runs;
}

std::string to_json(const RunStatus& status) {
  json::object object{{"name", status.name},
                      {"directory", status.directory.string()},
                      {"state", status.state},
                      {"attempt", status.attempt},
                      {"step", status.step},
                      {"updated", status.updated},
                      {"scheduler", status.scheduler_state}};
  if (status.loss) object["loss"] = *status.loss;
  if (status.submission) object["job"] = status.submission->job;
  if (status.holder) object["pid"] = *status.holder;
  return json::serialize(object);
}

}  // namespace fulgur
