#include "runtime/train/routing_totals.hpp"

namespace fulgur {
namespace {

// Runs of layers that lie side by side here and in the model: {first here, first in the model, count}.
struct LayerRun {
  std::int64_t here, layer, count;
};
std::vector<LayerRun> layer_runs(std::span<const std::int64_t> layers) {
  std::vector<LayerRun> runs;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (runs.empty() || layers[i] != runs.back().layer + runs.back().count)
      runs.push_back({static_cast<std::int64_t>(i), layers[i], 0});
    ++runs.back().count;
  }
  return runs;
}

}  // namespace

void RoutingReader::queue(const StepRouting& step, Stream& stream) {
  const auto& counters = step.counters;
  const auto E = model_.experts;
  const Shape dims{counters.counts.dims[0], model_.layers, columns()};
  if (table_.data == nullptr || table_.dims != dims) {
    stream.synchronize();  // the memory before is in use
    table_ = Tensor::contiguous(nullptr, DType::kInt32, dims);
    memory_ = Buffer(mesh_.device(), table_.bytes());
    table_.data = memory_.data();
  }
  const bool exchange = mesh_.layout().pp > 1 || model_.capacity_factor > 0 || step.has_reference;
  fill_zero(table_, stream);
  for (const auto& [here, layer, count] : layer_runs(step.layers)) {
    const auto rows = table_.slice(1, layer, count);
    const auto add = [&, here = here, count = count](const Tensor& counter, std::int64_t column) {
      copy(counter.slice(1, here, count), rows.select(2, column), stream);
    };
    // Every rank of a stage has the counts of the stage, and one of them tells them.
    if (!exchange || mesh_.stage_rank() == 0)
      copy(counters.counts.slice(1, here, count), rows.slice(2, 0, E), stream);
    add(counters.dropped, E);
    add(counters.dropped_local, E + 1);
    add(counters.replayed, E + 2);
  }
  if (exchange) mesh_.world().all_reduce(table_, table_, ReduceOp::kSum, stream, "routing");
  readback_.queue(table_, stream);
}

RoutingTotals RoutingReader::totals() const {
  const auto E = static_cast<std::size_t>(model_.experts);
  const auto layers = static_cast<std::size_t>(model_.layers);
  RoutingTotals totals{.counts = std::vector<std::int64_t>(layers * E),
                       .dropped = std::vector<std::int64_t>(layers),
                       .dropped_local = std::vector<std::int64_t>(layers),
                       .replayed = std::vector<std::int64_t>(layers)};
  const auto table = readback_.values<std::int32_t>();
  for (std::size_t at = 0; at < table.size();) {
    const auto layer = at / (E + 3) % layers;
    for (std::size_t e = 0; e < E; ++e)
      totals.counts[layer * E + e] += table[at++];
    totals.dropped[layer] += table[at++];
    totals.dropped_local[layer] += table[at++];
    totals.replayed[layer] += table[at++];
  }
  return totals;
}

}  // namespace fulgur
