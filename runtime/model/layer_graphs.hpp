#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "kernels/context.hpp"
#include "kernels/graph.hpp"
#include "recipes/job.hpp"
#include "runtime/model/batch.hpp"
#include "runtime/model/decoder_layer.hpp"

namespace fulgur {

// The passes of decoder layers as graphs (kernels/graph.hpp): a pass that comes again with all its tensors
// where they were is launched at once instead of kernel by kernel, which is what a small model's step
// spends its time on. A pass is queued as usual the first time, and recorded the second.
//
// Only for layers whose work is queued without a look at what the GPU has calculated, and without a message
// between ranks: uses_layer_graphs() says which.
class LayerGraphs {
 public:
  enum class Pass : std::intptr_t { kForward, kBackward };

  // What a pass depends on: the layer, the batch, and where the tensors lie.
  class Key {
   public:
    Key(Pass pass, std::size_t layer, const Context& ctx, const Batch& batch,
        std::span<const Tensor> tensors);
    friend auto operator<=>(const Key&, const Key&) = default;

   private:
    void add(const Tensor& tensor);

    std::vector<std::intptr_t> numbers_;
  };

  // Does what `queue` does: queues a pass on ctx.stream, allocates in ctx.arena, and says in `saved` where
  // things are.
  void run(const Context& ctx, Key key, DecoderLayer::Saved& saved,
           const std::function<void()>& queue);

  // Passes that were launched as graphs so far.
  std::int64_t launches() const noexcept { return launches_; }

 private:
  struct Known {
    std::optional<Graph> graph;
    DecoderLayer::Saved saved;
    std::size_t used = 0;  // of the arena, behind the pass
  };
  // A run needs as many as it has layers, passes, micro-batches of a step and sizes of their tables of
  // documents. Passes beyond that are queued as usual.
  static constexpr std::size_t kMost = 4096;

  std::map<Key, Known> known_;
  std::int64_t launches_ = 0;
};

// Whether a job's layers are launched so: on GPUs whose ranks exchange nothing within a layer, unless the job
// says never. Not with pipeline stages: the driver may take a new graph only when the GPU is idle, and it is
// not while a stage waits for another.
bool uses_layer_graphs(const Job& job, Device device);

}  // namespace fulgur
