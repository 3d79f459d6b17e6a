#include "orchestrator/coordinator/verdict.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>

#include "cluster/exit_codes.hpp"
#include "orchestrator/coordinator/waits.hpp"

namespace fulgur {
namespace {

constexpr std::size_t kNumLines = 10;
constexpr std::size_t kPlaces = 12;                        // lines of a list
constexpr Duration kWorthAWord = std::chrono::seconds(1);  // a shorter wait is everyday life
constexpr std::streamoff kTailBytes = 16 << 10;

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "this host";
  return name.data();
}

std::string what_happened(const Cause& cause, const WorkerState& worker) {
  if (!worker.lost.empty()) return "is lost with its node: " + worker.lost;
  switch (cause.kind) {
    case Cause::Kind::kFailed:
      return "failed: " + worker.failure.value_or(Failed{}).message;
    case Cause::Kind::kHung:
      return fmt::format("has hung: it did not leave its section, {}, in time",
                         worker.section.empty() ? "start" : worker.section);
    case Cause::Kind::kSilent:
      return "gave no sign of life for too long; it was killed";
    case Cause::Kind::kHungUp:
      return "closed its control connection";
    case Cause::Kind::kNotJoined:
      if (!worker.exit) return "did not come to the control port in time";
      [[fallthrough]];
    default:
      break;
  }
  const auto status = worker.exit.value_or(ExitStatus{});
  const char* hint =
      status.signal == 9 && status.reason.empty() ? "; was it the kernel, for want of memory?" : "";
  return to_string(status) + hint;
}

// "rank 5", "ranks 0-3, 7"
std::string ranks_text(const std::vector<int>& ranks) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1)
      ++last;
    parts.push_back(last == i       ? fmt::format("{}", ranks[i])
                    : last == i + 1 ? fmt::format("{}, {}", ranks[i], ranks[last])
                                    : fmt::format("{}-{}", ranks[i], ranks[last]));
    i = last + 1;
  }
  return fmt::format("rank{} {}", ranks.size() == 1 ? "" : "s", fmt::join(parts, ", "));
}

std::string position_of(const WorkerState& worker) {
  if (worker.result) return "done: " + *worker.result;
  if (!worker.joined) return "not joined";
  if (worker.section.empty()) return "joined";
  return worker.section + "; " +
         (worker.collective.empty() ? "in no collective" : worker.collective);
}

// Each rank once, those that stand at the same place in one line; at most kPlaces lines.
std::string where_they_stood(const RunState& state) {
  std::map<std::string, std::vector<int>> places;
  for (std::size_t rank = 0; rank < state.workers.size(); ++rank)
    places[position_of(state.workers[rank])].push_back(static_cast<int>(rank));
  std::vector<std::pair<std::string, std::vector<int>>> lines(places.begin(), places.end());
  // The few are of more interest than the many.
  std::stable_sort(lines.begin(), lines.end(),
                   [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  std::string text = "  where they stood:\n";
  for (std::size_t i = 0; i < lines.size() && i < kPlaces; ++i)
    text += fmt::format("    {}: {}\n", ranks_text(lines[i].second), lines[i].first);
  if (lines.size() > kPlaces)
    text += fmt::format("    and {} more places\n", lines.size() - kPlaces);
  return text;
}

std::string seconds_text(Duration duration) {
  return fmt::format("{:.0f} s", std::max(0.0, std::chrono::duration<double>(duration).count()));
}

// "rank 5 has not entered all_gather #12 (layer 3) of group cp; ranks 4, 6 have waited 42 s"
std::string missing_text(const RunState& state, const Missing& missing) {
  auto name = state.workers[static_cast<std::size_t>(missing.wait.front())].collective;
  if (const auto colon = name.rfind(": "); colon != std::string::npos) name.resize(colon);
  return fmt::format("{} {} not entered {}; {} {} waited {}", ranks_text(missing.have_not),
                     missing.have_not.size() == 1 ? "has" : "have", name, ranks_text(missing.wait),
                     missing.wait.size() == 1 ? "has" : "have",
                     seconds_text(state.cause_at - missing.since));
}

std::string who_waits_for_whom(const RunState& state) {
  const auto all = missing_ranks(state);
  std::string text;
  for (std::size_t i = 0; i < all.size() && i < kPlaces; ++i) {
    if (state.cause_at - all[i].since < kWorthAWord) continue;
    text += "  " + missing_text(state, all[i]) + "\n";
  }
  return text;
}

std::string tail_of(const std::filesystem::path& file) {
  const auto lines = last_lines(file, kNumLines);
  if (lines.empty()) return {};
  std::string text = fmt::format("  log: {}\n", file.string());
  for (const auto& line : lines)
    text += "    | " + line + "\n";
  return text;
}

}  // namespace

std::vector<std::string> last_lines(const std::filesystem::path& file, std::size_t count) {
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return {};
  const std::streamoff size = stream.tellg();
  const std::streamoff begin = std::max<std::streamoff>(0, size - kTailBytes);
  stream.seekg(begin);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  if (begin > 0 && lines.size() > 1) lines.erase(lines.begin());  // cut somewhere in its middle
  if (lines.size() > count)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  return lines;
}

std::string explain(const RunResult& result, const std::string& resume) {
  if (!result.state.cause) return {};
  const auto& cause = *result.state.cause;
  if (cause.kind == Cause::Kind::kStopped) return {};
  if (cause.kind == Cause::Kind::kSignal)
    return "fulgur: stopped at once, without a checkpoint, by a second signal\n";
  const auto at = static_cast<std::size_t>(cause.rank);
  const auto& worker = result.state.workers.at(at);
  const auto& facts = result.workers.at(at);
  const auto node = facts.node.empty() ? host_name() : facts.node;
  std::string text = facts.pid > 0 ? fmt::format("fulgur: rank {} (pid {} on {}) {}\n", cause.rank,
                                                 facts.pid, node, what_happened(cause, worker))
                                   : fmt::format("fulgur: rank {} (not started yet) {}\n",
                                                 cause.rank, what_happened(cause, worker));
  text += who_waits_for_whom(result.state);
  text += where_they_stood(result.state);
  text += tail_of(facts.errors);
  if (result.exit_code == kExitDoNotRepeat)
    text += "  the same command would fail the same way\n";
  else if (!resume.empty())
    text += "  go on from the newest checkpoint: " + resume + "\n";
  return text;
}

}  // namespace fulgur
