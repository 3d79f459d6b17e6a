#include "orchestrator/coordinator/supervise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cluster/exit_codes.hpp"

namespace fulgur {
namespace {

using Kind = SupervisionAction::Kind;

constexpr Duration kFirstPause = std::chrono::seconds(1);
constexpr Duration kLongestPause = std::chrono::seconds(30);

class Supervisor {
 public:
  Supervisor(SupervisionState state, TimePoint now, const SupervisionRules& rules)
      : state_(std::move(state)), now_(now), rules_(rules) {}

  void operator()(const event::RunBegins& begins) {
    if (state_.running) return;
    state_.attempt = begins.attempts_before;
    start("the run begins", Duration::zero());
  }

  void operator()(const event::AttemptEnded& ended) {
    if (!state_.running) return;
    state_.running = false;
    for (const auto& node : ended.lost_nodes)
      state_.lost.emplace(node, now_);
    const bool grew = std::exchange(state_.grows, false);
    if (ended.new_checkpoint) state_.fruitless = 0;
    if (ended.next_layout) return start("the next phase has another layout", Duration::zero());
    if (ended.exit_code == kExitStopped && grew && !ended.stop_asked)
      return start("nodes are back", Duration::zero());
    if (ended.exit_code == kExitDone || ended.exit_code == kExitStopped)
      return end(ended.exit_code, "the attempt has ended");
    after_failure(ended);
  }

  void operator()(const event::NodeBack& back) {
    if (state_.lost.erase(back.name) == 0) return;
    if (!state_.running || state_.grows || state_.layout == 0) return;
    if (const auto layout = best_layout(); !layout || *layout >= state_.layout) return;
    state_.grows = true;
    action_.kind = Kind::kStop;
    action_.reason = fmt::format("{} is back: the run goes on with more replicas", back.name);
  }

  Supervision finish() && { return {std::move(state_), std::move(action_)}; }

 private:
  void end(int exit_code, std::string reason) {
    action_.kind = Kind::kEnd;
    action_.exit_code = exit_code;
    action_.reason = std::move(reason);
  }

  void after_failure(const event::AttemptEnded& ended) {
    if (!ended.new_checkpoint) ++state_.fruitless;
    std::erase_if(state_.restarts, [this](TimePoint when) { return now_ - when >= rules_.per; });
    if (!ended.worth_repeating) return end(ended.exit_code, "it would fail the same way again");
    if (ended.stop_asked) return end(ended.exit_code, "it was asked to stop");
    if (rules_.restarts == 0) return end(ended.exit_code, "no restart is allowed");
    if (state_.fruitless >= rules_.no_progress) {
      const bool nodes = ended.exit_code == kExitUnavailable;
      return end(
          nodes ? kExitUnavailable : kExitDoNotRepeat,
          fmt::format("{} attempts in a row failed without a new checkpoint", state_.fruitless));
    }
    if (static_cast<int>(state_.restarts.size()) >= rules_.restarts)
      return end(ended.exit_code, fmt::format("all {} restarts are used up", rules_.restarts));
    state_.restarts.push_back(now_);
    start(fmt::format("restart {} of {}", state_.restarts.size(), rules_.restarts), pause());
  }

  // None after the first failure in a row, then 1 s, 2 s, 4 s, ...
  Duration pause() const {
    if (state_.fruitless < 2) return Duration::zero();
    return std::min(kLongestPause, kFirstPause * (1 << std::min(state_.fruitless - 2, 5)));
  }

  // The first that fits on the nodes that are not lost.
  std::optional<std::size_t> best_layout() const {
    if (rules_.nodes.empty()) return 0;
    int slots = 0;
    for (const auto& node : rules_.nodes) {
      if (!state_.lost.contains(node.name)) slots += node.slots;
    }
    const auto found = std::find_if(rules_.layouts.begin(), rules_.layouts.end(),
                                    [slots](const auto& each) { return each.workers <= slots; });
    if (found == rules_.layouts.end()) return std::nullopt;
    return static_cast<std::size_t>(found - rules_.layouts.begin());
  }

  void start(std::string reason, Duration pause) {
    auto layout = best_layout();
    if (!layout && !state_.lost.empty()) {
      reason += "; no layout fits without the lost nodes, so they are tried again";
      state_.lost.clear();
      layout = best_layout();
    }
    if (!layout) return end(kExitUnavailable, "no layout fits on the nodes");
    if (*layout != state_.layout) reason += fmt::format("; dp={} now", rules_.layouts[*layout].dp);
    state_.layout = *layout;
    state_.running = true;
    action_.kind = Kind::kStart;
    action_.reason = std::move(reason);
    action_.attempt = ++state_.attempt;
    action_.layout = *layout;
    action_.pause = pause;
    for (const auto& [name, since] : state_.lost)
      action_.excluded.push_back(name);
  }

  SupervisionState state_;
  TimePoint now_;
  const SupervisionRules& rules_;
  SupervisionAction action_;
};

}  // namespace

Supervision supervise(SupervisionState state, const SupervisionEvent& event, TimePoint now,
                      const SupervisionRules& rules) {
  Supervisor supervisor(std::move(state), now, rules);
  std::visit(supervisor, event);
  return std::move(supervisor).finish();
}

bool is_worth_repeating(const RunState& state) {
  if (!state.cause || state.cause->rank < 0) return false;
  const auto& worker = state.workers.at(static_cast<std::size_t>(state.cause->rank));
  if (worker.failure) {
    const std::string_view kind = worker.failure->kind;
    return kind == failure::kComm || kind == failure::kOther;
  }
  const int code = exit_code(state);
  return code == kExitFailed || code == kExitUnavailable;
}

}  // namespace fulgur
