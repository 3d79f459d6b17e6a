#include "recipes/pipeline/slots.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace fulgur {

SlotPlan plan_slots(std::span<const Pass> passes, int virtual_stages) {
  const bool split = std::any_of(passes.begin(), passes.end(), [](const Pass& pass) {
    return pass.kind == PassKind::kBackwardWeight;
  });
  const auto last_kind = split ? PassKind::kBackwardWeight : PassKind::kBackward;
  SlotPlan plan;
  plan.num_slots.resize(static_cast<std::size_t>(virtual_stages));
  plan.slot.reserve(passes.size());
  std::vector<std::set<int>> free(plan.num_slots.size());  // of those that are there
  std::map<std::pair<int, int>, int> taken;                // (virtual stage, micro-batch): slot
  for (const auto& pass : passes) {
    const auto piece = static_cast<std::size_t>(pass.virtual_stage);
    const std::pair key(pass.virtual_stage, pass.micro_batch);
    if (pass.kind == PassKind::kForward) {
      if (free[piece].empty()) free[piece].insert(plan.num_slots[piece]++);
      taken[key] = free[piece].extract(free[piece].begin()).value();
      plan.most_in_flight = std::max(plan.most_in_flight, static_cast<int>(taken.size()));
    }
    plan.slot.push_back(taken.at(key));
    if (pass.kind == last_kind) {
      free[piece].insert(taken.at(key));
      taken.erase(key);
    }
  }
  return plan;
}

int micro_batches_that_fill(const PipelineShape& shape) {
  return 4 * shape.pieces();
}

}  // namespace fulgur
