#include "runtime/model/layer_graphs.hpp"

#include <utility>

namespace fulgur {

LayerGraphs::Key::Key(Pass pass, std::size_t layer, const Context& ctx, const Batch& batch,
                      std::span<const Tensor> tensors)
    : numbers_{static_cast<std::intptr_t>(pass), static_cast<std::intptr_t>(layer),
               static_cast<std::intptr_t>(ctx.arena.used_bytes()), batch.tokens} {
  for (const auto& tensor : {batch.positions, batch.lightning.segments.starts,
                             batch.lightning.no_slot, batch.ring.calls.front().spans})
    add(tensor);
  for (const auto& tensor : tensors)
    add(tensor);
}

void LayerGraphs::Key::add(const Tensor& tensor) {
  numbers_.push_back(reinterpret_cast<std::intptr_t>(tensor.data));
  numbers_.push_back(static_cast<std::intptr_t>(tensor.count()));
}

void LayerGraphs::run(const Context& ctx, Key key, DecoderLayer::Saved& saved,
                      const std::function<void()>& queue) {
  const auto found = known_.find(key);
  if (found == known_.end()) {
    if (known_.size() < kMost) known_.try_emplace(std::move(key));
    return queue();
  }
  auto& known = found->second;
  if (known.graph) {
    saved = known.saved;
    ctx.arena.use_again(known.used);
  } else {
    known.graph.emplace(ctx.stream, queue);
    known.saved = saved;
    known.used = ctx.arena.used_bytes();
  }
  known.graph->launch(ctx.stream);
  ++launches_;
}

bool uses_layer_graphs(const Job& job, Device device) {
  const auto& layout = job.layout;
  return device == Device::kCuda && job.train.cuda_graphs == CudaGraphs::kAuto && layout.pp == 1 &&
         layout.tp == 1 && layout.cp == 1 && layout.ep == 1 && layout.etp == 1 &&
         job.model.capacity_factor == 0 && job.pipeline.schedule != PipelineSchedule::kZeroBubble;
}

}  // namespace fulgur
