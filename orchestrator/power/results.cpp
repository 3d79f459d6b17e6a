#include "orchestrator/power/results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <set>
#include <sstream>
#include <utility>

#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/power/statistics.hpp"
#include "orchestrator/run/text_file.hpp"
#include "recipes/job_json.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kSeed = "train.seed";
constexpr const char* kMetrics = "metrics.jsonl";

std::string text_of(const fs::path& path) {
  auto text = text_of_file(path);
  if (!text) throw UsageError(fmt::format("{} cannot be read", path.string()));
  return *std::move(text);
}

struct Line {
  std::string where;  // "results.jsonl:3"
  json::object fields;
};

std::vector<Line> read_lines(const fs::path& path) {
  std::istringstream text(text_of(path));
  std::vector<Line> lines;
  std::size_t number = 0;
  for (std::string line; std::getline(text, line);) {
    const auto where = fmt::format("{}:{}", path.string(), ++number);
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    json::error_code error;
    auto value = json::parse(line, error);
    if (error || !value.is_object()) throw UsageError(fmt::format("{} is no JSON object", where));
    lines.push_back({where, std::move(value.as_object())});
  }
  if (lines.empty()) throw UsageError(fmt::format("{} is empty", path.string()));
  return lines;
}

// "a.b" is the field of this name, or b in the object a. Null where there is none.
const json::value* find(const json::object& object, const std::string& field) {
  if (const auto* value = object.if_contains(field)) return value;
  const auto dot = field.find('.');
  if (dot == std::string::npos) return nullptr;
  const auto* inner = object.if_contains(field.substr(0, dot));
  if (inner == nullptr || !inner->is_object()) return nullptr;
  return find(inner->get_object(), field.substr(dot + 1));
}

double number_of(const json::value& value, const std::string& where, const std::string& field) {
  json::error_code error;
  const double number = value.to_number<double>(error);
  if (error || !std::isfinite(number))
    throw UsageError(fmt::format("{}: {} is no number", where, field));
  return number;
}

double number_at(const Line& line, const std::string& field) {
  const auto* value = find(line.fields, field);
  if (value != nullptr) return number_of(*value, line.where, field);
  std::string known;
  for (const auto& [key, unused] : line.fields)
    known += (known.empty() ? "" : ", ") + std::string(key);
  throw UsageError(fmt::format("{} has no field {}; it has {}", line.where, field, known));
}

// The run directories at a path or below, in the order of their names.
std::vector<fs::path> runs_at(const fs::path& path) {
  std::vector<fs::path> runs;
  if (fs::is_regular_file(path / kMetrics)) return {path};
  if (!fs::is_directory(path)) throw UsageError(fmt::format("{} is no folder", path.string()));
  for (auto each = fs::recursive_directory_iterator(path);
       each != fs::recursive_directory_iterator(); ++each) {
    if (!each->is_directory() || !fs::is_regular_file(each->path() / kMetrics)) continue;
    runs.push_back(each->path());
    each.disable_recursion_pending();  // what a run has put aside is no run of its own
  }
  if (runs.empty())
    throw UsageError(fmt::format("{} has no run with a {}", path.string(), kMetrics));
  std::sort(runs.begin(), runs.end());
  return runs;
}

struct Run {
  fs::path path;
  Job job;
  double value = 0;
  double last_step = 0;
};

Run read_run(const fs::path& path, const std::string& metric, std::int64_t steps) {
  Run run{.path = path, .job = {}};
  const auto job = path / "recipe.resolved.json";
  try {
    run.job = job_from_json(text_of(job));
  } catch (const std::invalid_argument& error) {
    throw UsageError(fmt::format("{}: {}", job.string(), error.what()));
  }
  const auto lines = read_lines(path / kMetrics);
  if (std::cmp_less(lines.size(), steps)) {
    throw UsageError(fmt::format("{} has {} steps, fewer than the {} to take the mean of",
                                 path.string(), lines.size(), steps));
  }
  std::vector<double> values;
  for (auto line = lines.end() - steps; line != lines.end(); ++line)
    values.push_back(number_at(*line, metric));
  run.value = sample_of(values).mean;
  run.last_step = number_at(lines.back(), "step");
  return run;
}

// The fields that what is learnt depends on, without the seed. Those of the data are free in a resume,
// because files move; here they are what an experiment is about.
std::vector<std::string> learning_differences(const Job& a, const Job& b) {
  std::vector<std::string> fields;
  for (const auto& each : differences(a, b)) {
    const bool counts = each.category == Category::kIdentity || each.field.starts_with("data.");
    if (counts && each.field != kSeed) fields.push_back(each.field);
  }
  return fields;
}

void expect_repetitions(const std::vector<Run>& runs, const Run& first_of_all) {
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].last_step != first_of_all.last_step) {
      throw UsageError(fmt::format("{} ends with step {}, {} with step {}", runs[i].path.string(),
                                   runs[i].last_step, first_of_all.path.string(),
                                   first_of_all.last_step));
    }
    if (const auto fields = learning_differences(runs[0].job, runs[i].job); !fields.empty()) {
      throw UsageError(fmt::format("{} and {} differ in {}: only seeds may differ in a group",
                                   runs[0].path.string(), runs[i].path.string(), fields.front()));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (runs[i].job.train.seed == runs[j].job.train.seed) {
        throw UsageError(fmt::format("{} and {} have the same seed {}: they say the same twice",
                                     runs[j].path.string(), runs[i].path.string(),
                                     runs[i].job.train.seed));
      }
    }
  }
}

}  // namespace

RunGroups read_runs(const std::vector<std::vector<fs::path>>& groups, const std::string& metric,
                    std::int64_t steps) {
  std::vector<std::vector<Run>> read;
  RunGroups result;
  for (const auto& paths : groups) {
    auto& runs = read.emplace_back();
    auto& group = result.groups.emplace_back();
    group.name = read.size() == 1 ? "baseline" : "variant";
    for (const auto& path : paths) {
      for (const auto& run : runs_at(path))
        runs.push_back(read_run(run, metric, steps));
    }
    expect_repetitions(runs, read.front().front());
    for (const auto& run : runs) {
      group.runs.push_back(run.path.string());
      group.values.push_back(run.value);
    }
  }
  if (read.size() == 2)
    result.differences = learning_differences(read[0].front().job, read[1].front().job);
  return result;
}

std::vector<fs::path> find_trials(const fs::path& sweep,
                                  const std::vector<std::string>& arguments) {
  std::vector<fs::path> found;
  std::set<std::string> known;
  const auto table = sweep / "trials.jsonl";
  for (const auto& line : read_lines(table)) {
    const auto* given = line.fields.if_contains("arguments");
    const auto* directory = line.fields.if_contains("directory");
    if (given == nullptr || !given->is_array() || directory == nullptr || !directory->is_string())
      throw UsageError(fmt::format("{} is no trial of a sweep", line.where));
    std::set<std::string> of_trial;
    for (const auto& each : given->get_array()) {
      if (each.is_string()) of_trial.emplace(each.get_string());
    }
    known.insert(of_trial.begin(), of_trial.end());
    const bool has_all = std::all_of(arguments.begin(), arguments.end(),
                                     [&](const auto& each) { return of_trial.contains(each); });
    const auto* exit_code = line.fields.if_contains("exit_code");
    if (!has_all || exit_code == nullptr || *exit_code != 0) continue;
    const fs::path path = std::string(directory->get_string());
    found.push_back(sweep / "trials" / path.filename());
  }
  if (found.empty()) {
    throw UsageError(fmt::format("{} has no trial with {}; there are {}", table.string(),
                                 fmt::join(arguments, " "), fmt::join(known, " ")));
  }
  return found;
}

std::vector<Group> read_table(const fs::path& path, const std::vector<std::string>& names,
                              const std::string& by, const std::string& metric) {
  const auto lines = read_lines(path);
  std::vector<Group> groups;
  std::set<std::string> known;
  for (const auto& name : names) {
    auto& group =
        groups.emplace_back(Group{.name = name, .runs = {}, .values = {}, .without_seed = 0});
    std::set<std::string> seeds;
    for (const auto& line : lines) {
      const auto* value = find(line.fields, by);
      if (value == nullptr) throw UsageError(fmt::format("{} has no field {}", line.where, by));
      const auto text = value->is_string() ? std::string(value->get_string()) : serialize(*value);
      known.insert(text);
      if (text != name) continue;
      const auto* seed = find(line.fields, "seed");
      if (seed == nullptr) ++group.without_seed;
      if (seed != nullptr && !seeds.insert(serialize(*seed)).second) {
        throw UsageError(fmt::format("{}: the seed {} is there twice for {}", line.where,
                                     serialize(*seed), name));
      }
      group.runs.push_back(line.where);
      group.values.push_back(number_at(line, metric));
    }
    if (group.values.empty()) {
      throw UsageError(fmt::format("{} has no rows with {} {}; there are {}", path.string(), by,
                                   name, fmt::join(known, ", ")));
    }
  }
  return groups;
}

std::vector<double> read_items(const fs::path& path, const std::string& metric) {
  std::vector<double> values;
  for (const auto& line : read_lines(path)) {
    const auto* choices = find(line.fields, "choices");
    if (choices == nullptr || line.fields.contains(metric)) {
      values.push_back(number_at(line, metric));
      continue;
    }
    std::vector<double> scores;
    if (choices->is_array()) {
      for (const auto& each : choices->get_array())
        scores.push_back(number_of(each, line.where, "choices"));
    }
    const double answer = number_at(line, "answer");
    if (!(answer >= 0 && answer < static_cast<double>(scores.size())))
      throw UsageError(fmt::format("{}: answer {} is none of the choices", line.where, answer));
    const double most = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (const double score : scores)
      sum += std::exp(score - most);
    values.push_back(scores[static_cast<std::size_t>(answer)] - most - std::log(sum));
  }
  if (values.size() < 2) throw UsageError(fmt::format("{} has one item", path.string()));
  return values;
}

}  // namespace fulgur
