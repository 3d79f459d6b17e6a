#include "orchestrator/coordinator/shard_collector.hpp"

#include <fmt/format.h>

#include <utility>

namespace fulgur {

std::optional<ShardCollector::Complete> ShardCollector::written(std::int64_t step, int rank,
                                                                Manifest manifest) {
  auto& pending = pending_[step];
  if (manifest.step != step || manifest.shards.size() != 1) {
    pending.failures[rank] =
        fmt::format("rank {}: its manifest is not of one shard of step {}", rank, step);
  } else {
    pending.manifests[rank] = std::move(manifest);
  }
  return finish_if_all(step);
}

std::optional<ShardCollector::Complete> ShardCollector::failed(std::int64_t step, int rank,
                                                               const std::string& reason) {
  pending_[step].failures[rank] = fmt::format("rank {}: {}", rank, reason);
  return finish_if_all(step);
}

std::optional<ShardCollector::Complete> ShardCollector::finish_if_all(std::int64_t step) {
  const auto found = pending_.find(step);
  auto& [_, pending] = *found;
  if (pending.manifests.size() + pending.failures.size() < static_cast<std::size_t>(world_))
    return std::nullopt;
  Complete complete;
  complete.step = step;
  for (auto& [rank, manifest] : pending.manifests) {
    if (rank == pending.manifests.begin()->first) {
      complete.manifest = std::move(manifest);
    } else {
      complete.manifest.shards.push_back(std::move(manifest.shards.front()));
    }
  }
  for (auto& [rank, reason] : pending.failures)
    complete.failures.push_back(std::move(reason));
  pending_.erase(found);
  return complete;
}

}  // namespace fulgur
