#include "orchestrator/sweep/trials.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <stdexcept>

#include "cluster/exit_codes.hpp"
#include "orchestrator/run/text_file.hpp"
#include "orchestrator/run/training_run.hpp"
#include "recipes/job_json.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

constexpr std::size_t kHashLength = 12;  // of a folder's name; sweeps have at most 10,000 trials

std::optional<json::object> read_object(const std::filesystem::path& path) {
  json::error_code error;
  const auto value = json::parse(text_of_file(path).value_or(""), error);
  if (error || !value.is_object()) return std::nullopt;
  return value.get_object();
}

bool is_complete(const std::filesystem::path& directory, const Job& job) {
  const auto run = read_object(directory / "run.json");
  if (!run) return false;
  const auto* state = run->if_contains("state");
  const auto* hash = run->if_contains("job_hash");
  return state != nullptr && hash != nullptr && *state == json::value("complete") &&
         *hash == json::value(job_hash(job));
}

}  // namespace

double Trial::low() const {
  return 1 / (seconds_per_token->mean + seconds_per_token->half_width);
}

double Trial::high() const {
  const double least = seconds_per_token->mean - seconds_per_token->half_width;
  return least > 0 ? 1 / least : 1 / seconds_per_token->mean;
}

std::filesystem::path trial_directory(const std::filesystem::path& directory, const Job& job) {
  return directory / "trials" / job_hash(job).substr(0, kHashLength);
}

Job trial_job(const Candidate& candidate, const SweepSection& sweep,
              const std::filesystem::path& directory) {
  auto job = candidate.job;
  job.train.steps = sweep.steps;
  job.checkpoint.every = 0;
  job.sample.tokens = 0;
  job.run_directory = trial_directory(directory, job).string();
  return job;
}

void read_trial(Trial& trial, const SweepSection& sweep) {
  const auto path = trial.directory / "metrics.jsonl";
  std::ifstream file(path);
  std::vector<double> values;
  std::int64_t steps = 0;
  for (std::string line; std::getline(file, line); ++steps) {
    const auto step = json::parse(line).as_object();
    trial.memory = std::max(trial.memory, step.at("memory").to_number<double>());
    if (step.at("loss").is_number()) trial.loss = step.at("loss").to_number<double>();
    if (steps >= sweep.warmup)
      values.push_back(1 / step.at("tokens_per_second").to_number<double>());
  }
  if (steps != sweep.steps) {
    throw std::runtime_error(
        fmt::format("{}: {} steps, {} are wanted", path.string(), steps, sweep.steps));
  }
  trial.seconds_per_token = estimate(values);
}

Trial run_trial(const Candidate& candidate, const SweepSection& sweep,
                const std::filesystem::path& recipe, const std::filesystem::path& directory) {
  TrainingRun run;
  run.job = trial_job(candidate, sweep, directory);
  run.recipe = recipe;
  run.measures = true;
  run.resume_command = "the same fulgur sweep";
  Trial trial{.candidate = &candidate, .directory = run.job.run_directory};
  if (!is_complete(trial.directory, run.job)) {
    RunDirectory folder(trial.directory);
    trial.exit_code = train_to_end(run, folder, std::nullopt).exit_code;
  }
  if (trial.exit_code == kExitDone) read_trial(trial, sweep);
  return trial;
}

}  // namespace fulgur
