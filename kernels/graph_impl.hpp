#pragma once

#include <functional>
#include <memory>

#include "kernels/graph.hpp"

namespace fulgur {

// What a device implements.
struct Graph::Impl {
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  virtual ~Impl() = default;

  virtual void launch(Stream& stream) = 0;
};

namespace cuda {
std::unique_ptr<Graph::Impl> record_graph(Stream& stream, const std::function<void()>& queue);
}

}  // namespace fulgur
