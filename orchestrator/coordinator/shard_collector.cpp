#include "orchestrator/coordinator/shard_collector.hpp"

#include <fmt/format.h>

#include <utility>

namespace fulgur {

std::optional<ShardCollector::Complete> ShardCollector::written(std::int64_t step, int rank,
                                                                std::string note_sha256) {
  pending_[step].notes[rank] = std::move(note_sha256);
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
  if (pending.notes.size() + pending.failures.size() < static_cast<std::size_t>(world_))
    return std::nullopt;
  Complete complete;
  complete.step = step;
  for (auto& [rank, note] : pending.notes)
    complete.notes.push_back(std::move(note));
  for (auto& [rank, reason] : pending.failures)
    complete.failures.push_back(std::move(reason));
  pending_.erase(found);
  return complete;
}

}  // namespace fulgur
