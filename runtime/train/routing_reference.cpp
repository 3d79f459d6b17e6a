#include "runtime/train/routing_reference.hpp"

#include <fmt/format.h>

#include <utility>

#include "kernels/transfer.hpp"
#include "runtime/checkpoint/folders.hpp"
#include "runtime/train/step_recorder.hpp"

namespace fulgur {

RoutingReference::RoutingReference(std::filesystem::path checkpoints, const Mesh& mesh)
    : checkpoints_(std::move(checkpoints)), mesh_(mesh) {}

RoutingSource RoutingReference::of_step(std::int64_t step) {
  record_.emplace(checkpoint_folder(checkpoints_, step));
  return [this](const Context& ctx, const Batch& batch, std::int64_t micro_batch,
                std::int64_t layer) { return read(ctx, batch, micro_batch, layer); };
}

Tensor RoutingReference::read(const Context& ctx, const Batch& batch, std::int64_t micro_batch,
                              std::int64_t layer) {
  const auto name = forward_name(router_operation(layer), micro_batch);
  const auto& shape = record_->shape(name);
  if (shape.size() != 3 || shape[0] != batch.grid.sequences || shape[1] != batch.grid.length) {
    throw CheckpointError(CheckpointError::Kind::kInvalid,
                          fmt::format("{}: the reference has not {} sequences of {} tokens", name,
                                      batch.grid.sequences, batch.grid.length));
  }
  const auto E = shape[2];
  std::vector<float> rows(static_cast<std::size_t>(batch.rows * E));
  const auto [pp, dp, cp, tp] = mesh_.dense();
  for (const auto& run : token_runs(batch.grid, dp, cp, tp)) {
    if (run.count() == 0) continue;
    record_->read(name, {.start = {run.sequence, run.begin, 0}, .count = {1, run.count(), E}},
                  std::span(rows).subspan(static_cast<std::size_t>(run.row * E),
                                          static_cast<std::size_t>(run.count() * E)));
  }
  const auto reference = ctx.arena.allocate({batch.rows, E});
  upload(std::move(rows), reference, ctx.stream);
  return reference;
}

}  // namespace fulgur
