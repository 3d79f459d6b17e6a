#include "kernels/lightning_attention.hpp"

#include <stdexcept>
#include <string>

#include "kernels/checks.hpp"
#include "kernels/heads.hpp"
#include "kernels/lightning_attention_impl.hpp"

namespace fulgur {
namespace {

constexpr std::int64_t kMostBFloat16Dims = 128;  // what the tensor cores' kernel can hold

void expect_vector(const Tensor& tensor, std::int64_t length, DType dtype,
                   const std::string& name) {
  expect_dims(tensor, {length}, name);
  expect_dtype(tensor, dtype, name);
  expect_contiguous(tensor, name);
}

// Checks against the first tensor of an operation, which sets T, H and d.
class Expect {
 public:
  Expect(const char* operation, const Tensor& first, const char* name, const Stream& stream)
      : operation_(std::string(operation) + ": "),
        dims_(first.dims),
        dtype_(activation_dtype(first, stream.device(), operation_ + name)) {
    expect_heads(first, {kAny, kAny, kAny}, operation_ + name, dtype_);
    if (dtype_ == DType::kBFloat16 && dims_[2] > kMostBFloat16Dims) {
      throw std::invalid_argument(operation_ + name + ": expected a head size up to " +
                                  std::to_string(kMostBFloat16Dims) + " in bfloat16, got " +
                                  std::to_string(dims_[2]));
    }
  }

  void like_first(const Tensor& tensor, const char* name) const {
    expect_heads(tensor, dims_, operation_ + name, dtype_);
  }
  void decay_rate(const Tensor& tensor) const {
    expect_vector(tensor, dims_[1], DType::kFloat32, operation_ + "decay_rate");
  }
  void segments(const LightningSegments& segments) const {
    expect_vector(segments.starts, kAny, DType::kInt32, operation_ + "segments.starts");
    const auto num_segments = segments.starts.dims[0] - 1;
    if (num_segments < 0) {
      throw std::invalid_argument(operation_ + "segments.starts: expected at least one number");
    }
    expect_vector(segments.in_slot, num_segments, DType::kInt32, operation_ + "segments.in_slot");
    expect_vector(segments.out_slot, num_segments, DType::kInt32, operation_ + "segments.out_slot");
  }
  void states(const Tensor& tensor, const char* name) const {
    if (tensor.data == nullptr) return;
    expect_dims(tensor, {kAny, dims_[1], dims_[2], dims_[2]}, operation_ + name);
    expect_dtype(tensor, DType::kFloat32, operation_ + name);
    expect_contiguous(tensor, operation_ + name);
  }
  bool is_empty() const { return dims_[1] == 0 || dims_[2] == 0; }

 private:
  std::string operation_;
  Shape dims_;
  DType dtype_;
};

}  // namespace

void lightning_state_forward(const LightningStateForward& args, Stream& stream) {
  const Expect expect("lightning_state_forward", args.k, "k", stream);
  expect.like_first(args.v, "v");
  expect.decay_rate(args.decay_rate);
  expect.segments(args.segments);
  expect.states(args.states, "states");
  if (expect.is_empty()) return;
  return stream.device() == Device::kCpu ? cpu::lightning_state_forward(args, stream)
                                         : cuda::lightning_state_forward(args, stream);
}

void lightning_output_forward(const LightningOutputForward& args, Stream& stream) {
  const Expect expect("lightning_output_forward", args.q, "q", stream);
  expect.like_first(args.k, "k");
  expect.like_first(args.v, "v");
  expect.like_first(args.o, "o");
  expect.decay_rate(args.decay_rate);
  expect.segments(args.segments);
  expect.states(args.states_in, "states_in");
  if (expect.is_empty()) return;
  return stream.device() == Device::kCpu ? cpu::lightning_output_forward(args, stream)
                                         : cuda::lightning_output_forward(args, stream);
}

void lightning_state_backward(const LightningStateBackward& args, Stream& stream) {
  const Expect expect("lightning_state_backward", args.q, "q", stream);
  expect.like_first(args.dout, "dout");
  expect.decay_rate(args.decay_rate);
  expect.segments(args.segments);
  expect.states(args.dstates, "dstates");
  if (expect.is_empty()) return;
  return stream.device() == Device::kCpu ? cpu::lightning_state_backward(args, stream)
                                         : cuda::lightning_state_backward(args, stream);
}

void lightning_output_backward(const LightningOutputBackward& args, Stream& stream) {
  const Expect expect("lightning_output_backward", args.q, "q", stream);
  expect.like_first(args.k, "k");
  expect.like_first(args.v, "v");
  expect.like_first(args.dout, "dout");
  expect.like_first(args.dq, "dq");
  expect.like_first(args.dk, "dk");
  expect.like_first(args.dv, "dv");
  expect.decay_rate(args.decay_rate);
  expect.segments(args.segments);
  expect.states(args.states_in, "states_in");
  expect.states(args.dstates_out, "dstates_out");
  if (expect.is_empty()) return;
  return stream.device() == Device::kCpu ? cpu::lightning_output_backward(args, stream)
                                         : cuda::lightning_output_backward(args, stream);
}

}  // namespace fulgur
