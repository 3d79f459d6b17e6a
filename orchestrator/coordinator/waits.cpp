#include "orchestrator/coordinator/waits.hpp"

#include <algorithm>
#include <set>

namespace fulgur {
namespace {

using Collective = std::pair<std::string, std::int64_t>;

Missing missing_of(const RunState& state, const Collective& collective) {
  Missing missing{.group = collective.first,
                  .number = collective.second,
                  .have_not = {},
                  .wait = {},
                  .since = TimePoint::max()};
  for (std::size_t rank = 0; rank < state.workers.size(); ++rank) {
    const auto& worker = state.workers[rank];
    const auto entered = worker.groups.find(missing.group);
    if (entered == worker.groups.end()) continue;
    if (entered->second < missing.number) {
      missing.have_not.push_back(static_cast<int>(rank));
    } else if (worker.waiting.group == missing.group && worker.waiting.number == missing.number) {
      missing.wait.push_back(static_cast<int>(rank));
      missing.since = std::min(missing.since, worker.waiting.since);
    }
  }
  return missing;
}

}  // namespace

std::vector<Missing> missing_ranks(const RunState& state) {
  std::set<Collective> collectives;
  for (const auto& worker : state.workers) {
    if (!worker.result && !worker.waiting.group.empty())
      collectives.emplace(worker.waiting.group, worker.waiting.number);
  }
  std::vector<Missing> all;
  for (const auto& each : collectives) {
    auto missing = missing_of(state, each);
    if (!missing.have_not.empty() && !missing.wait.empty()) all.push_back(std::move(missing));
  }
  std::sort(all.begin(), all.end(),
            [](const Missing& a, const Missing& b) { return a.since < b.since; });
  return all;
}

std::optional<int> awaited_rank(const RunState& state) {
  const auto all = missing_ranks(state);
  if (all.empty()) return std::nullopt;
  int rank = all.front().have_not.front();
  for (std::size_t hop = 0; hop < state.workers.size(); ++hop) {
    const auto next = std::find_if(all.begin(), all.end(), [rank](const Missing& each) {
      return std::find(each.wait.begin(), each.wait.end(), rank) != each.wait.end();
    });
    if (next == all.end()) return rank;
    rank = next->have_not.front();
  }
  return std::nullopt;  // they wait for each other
}

}  // namespace fulgur
