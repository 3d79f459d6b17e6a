// Compiled instead of the CUDA sources when FULGUR_WITH_CUDA is off. A stream on a CUDA device cannot
// be made then, so nothing else here is reached by a correct program.
#include <stdexcept>
#include <string>

#include "kernels/convert_impl.hpp"
#include "kernels/devices_impl.hpp"
#include "kernels/graph_impl.hpp"
#include "kernels/lightning_attention_impl.hpp"
#include "kernels/lightning_carry_impl.hpp"
#include "kernels/matmul_impl.hpp"
#include "kernels/memory_impl.hpp"
#include "kernels/rotary_impl.hpp"
#include "kernels/softmax_attention_impl.hpp"
#include "kernels/softmax_merge_impl.hpp"
#include "kernels/stream_impl.hpp"
#include "kernels/transfer_impl.hpp"

namespace fulgur::cuda {
namespace {

[[noreturn]] void refuse(const std::string& operation) {
  throw std::runtime_error(operation + ": built without CUDA (FULGUR_WITH_CUDA=OFF)");
}

}  // namespace

std::unique_ptr<Stream::Impl> make_stream() {
  refuse("stream");
}

std::unique_ptr<Graph::Impl> record_graph(Stream&, const std::function<void()>&) {
  refuse("graph");
}

int num_devices() {
  return 0;
}
void use_device(int) {
  refuse("use_cuda_device");
}
std::string device_name() {
  refuse("cuda_device_name");
}
std::int64_t occupied_memory() {
  refuse("occupied_memory");
}

void upload(std::span<const std::byte>, const Tensor&, Stream&) {
  refuse("upload");
}
void download(const Tensor&, std::span<std::byte>, Stream&) {
  refuse("download");
}
void queue_download(const Tensor&, void*, Stream&) {
  refuse("readback");
}

void* allocate(std::size_t) {
  refuse("buffer");
}
void release(void*) noexcept {}
void* allocate_pinned(std::size_t) {
  refuse("readback");
}
void release_pinned(void*) noexcept {}
std::span<std::byte> reserve() {
  refuse("arena");
}
void back(std::byte*, std::size_t) {
  refuse("arena");
}
void give_back(std::byte*, std::size_t, std::size_t) noexcept {}
void copy(const Tensor&, const Tensor&, Stream&) {
  refuse("copy");
}
void fill_zero(const Tensor&, Stream&) {
  refuse("fill_zero");
}
void convert(const Convert&, Stream&) {
  refuse("convert");
}
void matmul(const MatMul&, Stream&) {
  refuse("matmul");
}
void rotary(const Rotary&, Stream&) {
  refuse("rotary");
}
void lightning_state_forward(const LightningStateForward&, Stream&) {
  refuse("lightning_state_forward");
}
void lightning_output_forward(const LightningOutputForward&, Stream&) {
  refuse("lightning_output_forward");
}
void lightning_state_backward(const LightningStateBackward&, Stream&) {
  refuse("lightning_state_backward");
}
void lightning_output_backward(const LightningOutputBackward&, Stream&) {
  refuse("lightning_output_backward");
}
void softmax_attention_forward(const SoftmaxAttentionForward&, Stream&) {
  refuse("softmax_attention_forward");
}
void softmax_attention_backward(const SoftmaxAttentionBackward&, Stream&) {
  refuse("softmax_attention_backward");
}

void lightning_fold(const LightningFold&, Stream&) {
  refuse("lightning_fold");
}
void lightning_carry_forward(const LightningCarryForward&, Stream&) {
  refuse("lightning_carry_forward");
}
void lightning_carry_backward(const LightningCarryBackward&, Stream&) {
  refuse("lightning_carry_backward");
}

void softmax_merge(const SoftmaxMerge&, Stream&) {
  refuse("softmax_merge");
}

}  // namespace fulgur::cuda
