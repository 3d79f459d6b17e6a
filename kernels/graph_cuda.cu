#include <cuda_runtime.h>

#include <utility>

#include "kernels/cuda_check.hpp"
#include "kernels/graph_impl.hpp"
#include "kernels/unique_handle.hpp"

namespace fulgur::cuda {
namespace {

struct GraphTraits {
  using Handle = cudaGraph_t;
  static constexpr Handle none = nullptr;
  static void release(Handle graph) noexcept { static_cast<void>(cudaGraphDestroy(graph)); }
};
struct ExecutableTraits {
  using Handle = cudaGraphExec_t;
  static constexpr Handle none = nullptr;
  static void release(Handle graph) noexcept { static_cast<void>(cudaGraphExecDestroy(graph)); }
};

class CudaGraph final : public Graph::Impl {
 public:
  explicit CudaGraph(cudaGraph_t recorded) {
    cudaGraphExec_t made = nullptr;
    check(cudaGraphInstantiate(&made, recorded, 0), "cudaGraphInstantiate");
    executable_ = UniqueHandle<ExecutableTraits>(made);
  }

  void launch(Stream& stream) override {
    check(cudaGraphLaunch(executable_.get(), native(stream)), "cudaGraphLaunch");
  }

 private:
  UniqueHandle<ExecutableTraits> executable_;
};

}  // namespace

// Other threads may allocate meanwhile, which is nothing to this stream: hence the mode of one thread.
std::unique_ptr<Graph::Impl> record_graph(Stream& stream, const std::function<void()>& queue) {
  check(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeThreadLocal),
        "cudaStreamBeginCapture");
  cudaGraph_t recorded = nullptr;
  try {
    queue();
  } catch (...) {
    static_cast<void>(cudaStreamEndCapture(native(stream), &recorded));
    const UniqueHandle<GraphTraits> dropped(recorded);
    static_cast<void>(cudaGetLastError());
    throw;
  }
  check(cudaStreamEndCapture(native(stream), &recorded), "cudaStreamEndCapture");
  const UniqueHandle<GraphTraits> graph(recorded);
  return std::make_unique<CudaGraph>(graph.get());
}

}  // namespace fulgur::cuda
