#include "runtime/train/routing_totals.hpp"

#include <algorithm>
#include <utility>

#include "kernels/transfer.hpp"

namespace fulgur {
namespace {

// A row of a layer: its counts of the E experts, dropped, dropped_local, replayed.
std::int64_t columns(const ModelSpec& model) {
  return model.experts + 3;
}

// One row per layer of the model; those of other stages are zero.
std::vector<std::int64_t> table_of_stage(const StepRouting& step, Stream& stream) {
  const auto& all = step.counters;
  const auto counts = download<std::int32_t>(all.counts, stream);
  const std::vector<std::int32_t> others[] = {download<std::int32_t>(all.dropped, stream),
                                              download<std::int32_t>(all.dropped_local, stream),
                                              download<std::int32_t>(all.replayed, stream)};
  const auto E = static_cast<std::size_t>(step.model.experts);
  std::vector<std::int64_t> table(
      static_cast<std::size_t>(step.model.layers * columns(step.model)));
  for (std::size_t from = 0; from < others[0].size(); ++from) {
    const auto layer = step.layers[from % step.layers.size()];
    auto* to = &table[static_cast<std::size_t>(layer * columns(step.model))];
    for (std::size_t e = 0; e < E; ++e)
      *to++ += counts[from * E + e];
    for (const auto& other : others)
      *to++ += other[from];
  }
  return table;
}

// The rows of all stages, of which one rank each tells its own.
void gather_stages(std::vector<std::int64_t>& table, Mesh& mesh, Stream& stream) {
  if (mesh.stage_rank() != 0) std::fill(table.begin(), table.end(), 0);
  const Buffer memory(mesh.device(), table.size() * sizeof(std::int64_t));
  const auto all =
      Tensor::contiguous(memory.data(), DType::kInt64, {static_cast<std::int64_t>(table.size())});
  upload(std::move(table), all, stream);
  mesh.world().all_reduce(all, all, ReduceOp::kSum, stream, "routing of all layers");
  mesh.synchronize(stream);
  table = download<std::int64_t>(all, stream);
}

}  // namespace

RoutingTotals routing_totals(const StepRouting& step, Mesh& mesh, Stream& stream) {
  const auto add_up = [&](const Tensor& counter, const char* what) {
    mesh.stage().all_reduce(counter, counter, ReduceOp::kSum, stream, what);
  };
  if (step.model.capacity_factor > 0) {
    add_up(step.counters.dropped, "dropped assignments");
    add_up(step.counters.dropped_local, "locally dropped assignments");
  }
  if (step.has_reference) add_up(step.counters.replayed, "replayed choices");
  mesh.synchronize(stream);
  auto table = table_of_stage(step, stream);
  if (mesh.layout().pp > 1) gather_stages(table, mesh, stream);
  RoutingTotals totals;
  const auto E = step.model.experts;
  for (auto row = table.begin(); row != table.end(); row += columns(step.model)) {
    totals.counts.insert(totals.counts.end(), row, row + E);
    totals.dropped.push_back(row[E]);
    totals.dropped_local.push_back(row[E + 1]);
    totals.replayed.push_back(row[E + 2]);
  }
  return totals;
}

}  // namespace fulgur
