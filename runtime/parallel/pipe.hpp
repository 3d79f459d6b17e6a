#pragma once

#include <array>
#include <string>

#include "kernels/memory.hpp"
#include "runtime/parallel/mesh.hpp"

namespace fulgur {

// The two ends of a PipelineEdge: activations or their gradients of one size go through it, in order and
// beside the compute stream. Each end has two buffers, so that a message is on its way while the next one
// is computed; compute waits only when both are in use (recipes/pipeline/messages.hpp).
//
// The edge outlives its ends.

// Of the tensors that go through a pipe.
struct PipeTensor {
  Shape dims;
  DType dtype = DType::kFloat32;
  Device device = Device::kCpu;
};

class PipeSender {
 public:
  PipeSender(PipelineEdge& edge, const PipeTensor& tensor, std::string what);

  // Queues the copy of x on `compute`, and the send behind it on the edge's stream.
  void send(const Tensor& x, Stream& compute);

 private:
  PipelineEdge& edge_;
  std::string what_;
  std::array<Buffer, 2> memory_;
  std::array<Tensor, 2> buffers_;
  std::array<Event, 2> sent_;
  std::size_t next_ = 0;
};

class PipeReceiver {
 public:
  PipeReceiver(PipelineEdge& edge, const PipeTensor& tensor, std::string what);

  // Says how many messages come: receives for them are posted as soon as there is a buffer.
  void expect(std::int64_t messages);

  // Holds `compute` until the next message is there, and queues its copy to x.
  void receive(const Tensor& x, Stream& compute);

 private:
  void post();

  PipelineEdge& edge_;
  std::string what_;
  std::array<Buffer, 2> memory_;
  std::array<Tensor, 2> buffers_;
  std::array<Event, 2> received_, taken_;
  std::int64_t expected_ = 0;  // and not posted yet
  std::size_t posted_ = 0, next_ = 0;
};

}  // namespace fulgur
