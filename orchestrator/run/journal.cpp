#include "orchestrator/run/journal.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json.hpp>
#include <chrono>
#include <cmath>
#include <fstream>
#include <system_error>

#include "cluster/wire/text.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

// The step of a line, or nothing when it is no whole line of metrics.
std::optional<std::int64_t> step_of(const std::string& line) {
  json::error_code error;
  const auto value = json::parse(line, error);
  if (error || !value.is_object()) return std::nullopt;
  const auto* step = value.get_object().if_contains("step");
  if (step == nullptr || !step->is_int64()) return std::nullopt;
  return step->get_int64();
}

// JSON has no infinity and no NaN.
std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "null";
}

}  // namespace

std::int64_t drop_steps_behind(const std::filesystem::path& metrics, std::int64_t last) {
  std::ifstream before(metrics, std::ios::binary);
  if (!before) return 0;
  const auto temporary = metrics.string() + ".tmp";
  std::int64_t dropped = 0;
  {
    std::ofstream after(temporary, std::ios::binary);
    for (std::string line; std::getline(before, line);) {
      const auto step = step_of(line);
      if (step && *step <= last)
        after << line << '\n';
      else
        ++dropped;
    }
    after.flush();
    if (!after) throw std::system_error(errno, std::generic_category(), temporary + ": write");
  }
  if (dropped > 0)
    std::filesystem::rename(temporary, metrics);
  else
    std::filesystem::remove(temporary);
  return dropped;
}

std::string metrics_line(const StepDone& step, const Utilisation& use) {
  return fmt::format(
      R"({{"step":{},"tokens":{},"loss":{},"aux_loss":{},"gradient_norm":{},"learning_rate":{},)"
      R"("seconds":{},"tokens_per_second":{},"tflops":{},"mfu":{},"memory":{},)"
      R"("drop_rate":{},"local_drop_rate":{},)"
      R"("expert_counts":[{}]}})",
      step.step, step.tokens, number(step.loss), number(step.aux_loss), number(step.gradient_norm),
      number(step.learning_rate), number(step.seconds), number(step.tokens_per_second),
      number(use.tflops), use.mfu ? number(*use.mfu) : "null", use.memory, number(step.drop_rate),
      number(step.local_drop_rate), fmt::join(step.expert_counts, ","));
}

std::string timestamp() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

void EventLog::write(const std::string& event, const std::string& text) {
  json::object line;
  line["time"] = timestamp();
  line["attempt"] = attempt_;
  line["event"] = event;
  line["text"] = valid_utf8(text);
  file_.append(json::serialize(line));
}

}  // namespace fulgur
