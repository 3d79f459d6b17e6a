#include "kernels/graph.hpp"

#include <stdexcept>

#include "kernels/graph_impl.hpp"

namespace fulgur {

Graph::Graph(Stream& stream, const std::function<void()>& queue) {
  if (stream.device() != Device::kCuda)
    throw std::invalid_argument("graph: expected the stream of a GPU");
  impl_ = cuda::record_graph(stream, queue);
}

Graph::~Graph() = default;
Graph::Graph(Graph&& other) noexcept = default;
Graph& Graph::operator=(Graph&& other) noexcept = default;

void Graph::launch(Stream& stream) const {
  impl_->launch(stream);
}

}  // namespace fulgur
