#include "runtime/parallel/pipe.hpp"

#include <utility>

namespace fulgur {
namespace {

// A group of an edge has the sender first.
constexpr int kSender = 0, kReceiver = 1;

void allocate(std::array<Buffer, 2>& memory, std::array<Tensor, 2>& buffers,
              const PipeTensor& tensor) {
  for (std::size_t i = 0; i < memory.size(); ++i) {
    buffers[i] = Tensor::contiguous(nullptr, tensor.dtype, tensor.dims);
    memory[i] = Buffer(tensor.device, buffers[i].bytes());
    buffers[i].data = memory[i].data();
  }
}

}  // namespace

PipeSender::PipeSender(PipelineEdge& edge, const PipeTensor& tensor, std::string what)
    : edge_(edge), what_(std::move(what)) {
  allocate(memory_, buffers_, tensor);
}

void PipeSender::send(const Tensor& x, Stream& compute) {
  const auto i = next_++ % buffers_.size();
  compute.wait(sent_[i]);
  copy(x, buffers_[i], compute);
  edge_.stream->wait(compute.record());
  edge_.ranks->send(buffers_[i], kReceiver, *edge_.stream, what_);
  sent_[i] = edge_.stream->record();
}

PipeReceiver::PipeReceiver(PipelineEdge& edge, const PipeTensor& tensor, std::string what)
    : edge_(edge), what_(std::move(what)) {
  allocate(memory_, buffers_, tensor);
}

void PipeReceiver::expect(std::int64_t messages) {
  expected_ += messages;
  while (expected_ > 0 && posted_ < next_ + buffers_.size())
    post();
}

void PipeReceiver::post() {
  const auto i = posted_++ % buffers_.size();
  --expected_;
  edge_.stream->wait(taken_[i]);
  edge_.ranks->recv(buffers_[i], kSender, *edge_.stream, what_);
  received_[i] = edge_.stream->record();
}

void PipeReceiver::receive(const Tensor& x, Stream& compute) {
  const auto i = next_++ % buffers_.size();
  compute.wait(received_[i]);
  copy(buffers_[i], x, compute);
  taken_[i] = compute.record();
  if (expected_ > 0) post();
}

}  // namespace fulgur
