#include "orchestrator/coordinator/verdict.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "cluster/exit_codes.hpp"

namespace fulgur {
namespace {

constexpr std::size_t kNumLines = 10;
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
  const char* hint = status.signal == 9 ? "; was it the kernel, for want of memory?" : "";
  return to_string(status) + hint;
}

std::string where_it_stood(const WorkerState& worker) {
  if (worker.section.empty()) return {};
  std::string text = "  where: " + worker.section;
  if (!worker.collective.empty()) text += "; " + worker.collective;
  return text + "\n";
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
  text += where_it_stood(worker);
  text += tail_of(facts.errors);
  if (result.exit_code == kExitDoNotRepeat)
    text += "  the same command would fail the same way\n";
  else if (!resume.empty())
    text += "  go on from the newest checkpoint: " + resume + "\n";
  return text;
}

}  // namespace fulgur
