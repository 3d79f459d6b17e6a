#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "kernels/stream.hpp"

namespace fulgur {

// What a device implements: an event and a stream of its own.
struct Event::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  virtual ~State() = default;

  virtual void synchronize() = 0;
  virtual bool has_passed() = 0;
};

struct Stream::Impl {
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  virtual ~Impl() = default;

  virtual Device device() const noexcept = 0;
  virtual void run(std::function<void()> work) = 0;
  virtual Event record() = 0;
  virtual void wait(const Event& event) = 0;  // the event has a state
  virtual void synchronize() = 0;
  virtual void* native() const noexcept = 0;

  const std::shared_ptr<StreamFailure> failure = std::make_shared<StreamFailure>();
};

namespace cpu {
std::unique_ptr<Stream::Impl> make_stream();
}
namespace cuda {
std::unique_ptr<Stream::Impl> make_stream();
}

}  // namespace fulgur
