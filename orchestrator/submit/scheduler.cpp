#include "orchestrator/submit/scheduler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "orchestrator/submit/capture.hpp"

namespace fulgur {
namespace {

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
    text.pop_back();
  return text;
}

Captured run(const std::string& program, const std::vector<std::string>& arguments) {
  auto captured = capture(program, arguments);
  if (!captured.well()) {
    throw SchedulerError(
        fmt::format("{} {}: {}", program, to_string(captured.status), trimmed(captured.errors)));
  }
  return captured;
}

// What scontrol shows of a job under a name; empty when it knows no such job.
std::string shown(const std::string& job, const std::string& name) {
  const auto captured = capture("scontrol", {"--oneliner", "show", "job", job});
  const auto at = captured.output.find(" " + name + "=");
  if (!captured.well() || at == std::string::npos) return {};
  const auto begin = at + name.size() + 2;
  return captured.output.substr(begin, captured.output.find_first_of(" \n", begin) - begin);
}

}  // namespace

std::string submit_to_slurm(const std::filesystem::path& script) {
  const auto answer = trimmed(run("sbatch", {"--parsable", script.string()}).output);
  auto job = answer.substr(0, answer.find(';'));  // "12" or "12;cluster"
  const bool number = !job.empty() && std::all_of(job.begin(), job.end(), [](unsigned char c) {
    return std::isdigit(c) != 0;
  });
  if (!number) throw SchedulerError(fmt::format("sbatch answered `{}`, expected a job", answer));
  return job;
}

std::string slurm_state(const std::string& job) {
  return shown(job, "JobState");
}

bool was_preempted_in_slurm(const std::string& job) {
  const auto time = shown(job, "PreemptTime");
  return !time.empty() && time != "None";
}

void requeue_in_slurm(const std::string& job) {
  run("scontrol", {"requeue", job});
}

void cancel_in_slurm(const std::string& job, const std::string& signal) {
  if (signal.empty())
    run("scancel", {job});
  else
    run("scancel", {"--batch", "--signal=" + signal, job});
}

}  // namespace fulgur
