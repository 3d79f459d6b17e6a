#pragma once

#include <functional>
#include <memory>

#include "kernels/stream.hpp"

namespace fulgur {

// A piece of a GPU stream's work that is queued again and again: the same kernels with the same arguments
// on the same memory, recorded once and then launched all at once (a CUDA graph). What the memory holds may
// change between two launches; what the host decided while it was recorded stays as it was.
class Graph {
 public:
  // Calls `queue`, which queues work on `stream` alone, and records that work instead of doing it. All
  // kernels of it must have run before, for a GPU may load their code at a first launch. It may not read a
  // tensor back, upload, or do host work, for that would have to happen again at every launch. Throws
  // std::invalid_argument for a stream that is not a GPU's, CudaError for work that cannot be recorded, and
  // what `queue` throws; the stream can be used as before then.
  Graph(Stream& stream, const std::function<void()>& queue);
  // Not before its last launch has passed.
  ~Graph();
  Graph(Graph&& other) noexcept;
  Graph& operator=(Graph&& other) noexcept;

  // Queues the recorded work. Costs the host about as much as one or two kernels.
  void launch(Stream& stream) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace fulgur
