#include "kernels/stream.hpp"

#include <utility>

#include "kernels/stream_impl.hpp"

namespace fulgur {

void Event::synchronize() const {
  if (state_) state_->synchronize();
}

bool Event::has_passed() const {
  return !state_ || state_->has_passed();
}

Stream::Stream(Device device)
    : impl_(device == Device::kCpu ? cpu::make_stream() : cuda::make_stream()) {}
Stream::~Stream() = default;

Device Stream::device() const noexcept {
  return impl_->device();
}

void Stream::run(std::function<void()> work) {
  impl_->run(std::move(work));
}

Event Stream::record() {
  return impl_->record();
}

void Stream::wait(const Event& event) {
  if (!event.has_passed()) impl_->wait(event);
}

void Stream::synchronize() {
  impl_->synchronize();
}

const std::shared_ptr<StreamFailure>& Stream::failure() const noexcept {
  return impl_->failure;
}

void* Stream::native() const noexcept {
  return impl_->native();
}

}  // namespace fulgur
