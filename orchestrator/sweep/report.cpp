#include "orchestrator/sweep/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "orchestrator/run/progress.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

constexpr double kMiB = 1 << 20;
constexpr double kSure = 0.05;  // a difference is real when chance makes it more rarely

std::string memory_text(double bytes) {
  return bytes < 10240 * kMiB ? fmt::format("{:.0f} MiB", bytes / kMiB)
                              : fmt::format("{:.1f} GiB", bytes / kMiB / 1024);
}

bool is_measured(const Trial& trial) {
  return trial.seconds_per_token.has_value();
}

// Of a rank: times its number of ranks, so that trials of unlike worlds can be compared.
Estimate rank_seconds(const Trial& trial) {
  auto result = *trial.seconds_per_token;
  const double world = trial.candidate->world();
  result.mean *= world;
  result.standard_error *= world;
  result.half_width *= world;
  return result;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text)
    result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + "\"";
}

}  // namespace

std::string rejections_text(const SweepPlan& plan) {
  auto text = fmt::format("{} combination{}: {} can run\n", plan.combinations,
                          plan.combinations == 1 ? "" : "s", plan.candidates.size());
  for (const auto& each : plan.rejected)
    text += fmt::format("  {:>7} not: {:<10} as in {}\n{:>15}{}\n", each.count, each.reason,
                        each.example, "", each.message);
  return text;
}

std::string predictions_text(const SweepPlan& plan, std::size_t most) {
  auto text = fmt::format("{:>4} {:>12} {:>10} {:>7} {:>7} {:>11}  {}\n", "", "tokens/s", "step",
                          "MFU", "bubble", "memory", "predicted for");
  for (std::size_t i = 0; i < std::min(most, plan.candidates.size()); ++i) {
    const auto& each = plan.candidates[i];
    text += fmt::format("{:>4} {:>12} {:>8.3f} s {:>5.1f} % {:>5.1f} % {:>11}  {}\n", i + 1,
                        short_number(each.tokens_per_second), each.step_seconds, 100 * each.mfu,
                        100 * each.bubble, memory_text(each.memory), to_string(each.arguments));
  }
  if (plan.candidates.size() > most)
    text += fmt::format("     ... and {} more\n", plan.candidates.size() - most);
  return text;
}

void sort_trials(std::vector<Trial>& trials) {
  std::stable_sort(trials.begin(), trials.end(), [](const Trial& a, const Trial& b) {
    if (is_measured(a) != is_measured(b)) return is_measured(a);
    return is_measured(a) && a.tokens_per_rank() > b.tokens_per_rank();
  });
}

std::string trials_text(const std::vector<Trial>& sorted) {
  auto text = fmt::format("{:>4} {:>10} {:>17} {:>10} {:>11} {:>11}  {}\n", "", "tokens/s",
                          "95 % interval", "predicted", "memory", "predicted", "");
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const auto& each = sorted[i];
    const auto what = to_string(each.candidate->arguments);
    if (!is_measured(each)) {
      text += fmt::format("{:>4} failed with exit code {}: {} ({})\n", i + 1, each.exit_code, what,
                          each.directory.string());
      continue;
    }
    text += fmt::format("{:>4} {:>10} {:>17} {:>10} {:>11} {:>11}  {}\n", i + 1,
                        short_number(each.tokens_per_second()),
                        short_number(each.low()) + " to " + short_number(each.high()),
                        short_number(each.candidate->tokens_per_second), memory_text(each.memory),
                        memory_text(each.candidate->memory), what);
  }
  return text;
}

std::string verdict_text(const std::vector<Trial>& sorted) {
  if (sorted.empty() || !is_measured(sorted.front())) return "no trial is complete\n";
  const auto first = rank_seconds(sorted.front());
  std::string open;
  std::size_t beaten = 0;
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (!is_measured(sorted[i])) continue;
    const double p = p_value_smaller(first, rank_seconds(sorted[i]));
    if (p < kSure)
      ++beaten;
    else
      open += fmt::format("  {} (p = {:.2f})\n", to_string(sorted[i].candidate->arguments), p);
  }
  auto text = fmt::format("fastest: {}", to_string(sorted.front().candidate->arguments));
  if (beaten > 0)
    text += fmt::format("; really faster than {} other{} (p < {})", beaten, beaten == 1 ? "" : "s",
                        kSure);
  text += "\n";
  if (!open.empty()) text += "it cannot be told from these; more steps would:\n" + open;
  return text;
}

std::string accuracy_text(const std::vector<Trial>& sorted) {
  double time = 0, worst_time = 0, memory = 0, worst_memory = 0, count = 0;
  for (const auto& each : sorted) {
    if (!is_measured(each)) continue;
    const double t = std::abs(each.tokens_per_second() / each.candidate->tokens_per_second - 1);
    const double m = std::abs(each.candidate->memory / each.memory - 1);
    time += t;
    memory += m;
    worst_time = std::max(worst_time, t);
    worst_memory = std::max(worst_memory, m);
    ++count;
  }
  if (count == 0) return "";
  return fmt::format(
      "predicted against measured: time of a step {:.0f} % off on average, {:.0f} % at worst; "
      "memory {:.0f} % and {:.0f} %\n",
      100 * time / count, 100 * worst_time, 100 * memory / count, 100 * worst_memory);
}

std::string trials_csv(const std::vector<Trial>& sorted) {
  std::string text =
      "arguments,exit_code,tokens_per_second,low,high,predicted_tokens_per_second,memory,"
      "predicted_memory,predicted_mfu,loss,directory\n";
  for (const auto& each : sorted) {
    text += quoted(to_string(each.candidate->arguments)) + fmt::format(",{},", each.exit_code);
    if (is_measured(each))
      text += fmt::format("{},{},{}", each.tokens_per_second(), each.low(), each.high());
    else
      text += ",,";
    text += fmt::format(",{},{},{},{},{},{}\n", each.candidate->tokens_per_second, each.memory,
                        each.candidate->memory, each.candidate->mfu, each.loss,
                        quoted(each.directory.string()));
  }
  return text;
}

std::string trials_jsonl(const std::vector<Trial>& sorted) {
  std::string text;
  for (const auto& each : sorted) {
    json::object line;
    json::array arguments;
    for (const auto& argument : each.candidate->arguments)
      arguments.emplace_back(argument);
    line["arguments"] = std::move(arguments);
    line["exit_code"] = each.exit_code;
    if (is_measured(each)) {
      line["tokens_per_second"] = each.tokens_per_second();
      line["low"] = each.low();
      line["high"] = each.high();
      line["memory"] = each.memory;
      line["loss"] = each.loss;
    }
    line["predicted"] = {{"tokens_per_second", each.candidate->tokens_per_second},
                         {"step_seconds", each.candidate->step_seconds},
                         {"memory", each.candidate->memory},
                         {"mfu", each.candidate->mfu},
                         {"bubble", each.candidate->bubble}};
    line["directory"] = each.directory.string();
    text += json::serialize(line) + "\n";
  }
  return text;
}

}  // namespace fulgur
