#include "kernels/softmax_attention.hpp"

#include <stdexcept>
#include <string>

#include "kernels/checks.hpp"
#include "kernels/heads.hpp"
#include "kernels/softmax_attention_impl.hpp"

namespace fulgur {
namespace {

// What both directions have: q sets T, H and d; k sets S and G.
template <class Args>
void expect_common(const Args& args, const std::string& operation, Device device) {
  const auto dtype = activation_dtype(args.q, device, operation + ": q");
  expect_heads(args.q, {kAny, kAny, kAny}, operation + ": q", dtype);
  expect_heads(args.k, {kAny, kAny, args.q.dims[2]}, operation + ": k", dtype);
  expect_heads(args.v, args.k.dims, operation + ": v", dtype);
  expect_heads(args.o, args.q.dims, operation + ": o", dtype);
  const auto H = args.q.dims[1], G = args.k.dims[1];
  if (G == 0 ? H != 0 : H % G != 0) {
    throw std::invalid_argument(operation + ": k: expected KV heads that divide the " +
                                std::to_string(H) + " query heads, got " + std::to_string(G));
  }
  expect_dims(args.lse, {args.q.dims[0], H}, operation + ": lse");
  expect_dtype(args.lse, DType::kFloat32, operation + ": lse");
  expect_contiguous(args.lse, operation + ": lse");
  expect_dims(args.spans, {kAny, 5}, operation + ": spans");
  expect_dtype(args.spans, DType::kInt32, operation + ": spans");
  expect_contiguous(args.spans, operation + ": spans");
}

}  // namespace

void softmax_attention_forward(const SoftmaxAttentionForward& args, Stream& stream) {
  expect_common(args, "softmax_attention_forward", stream.device());
  if (args.q.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::softmax_attention_forward(args, stream)
                                         : cuda::softmax_attention_forward(args, stream);
}

void softmax_attention_backward(const SoftmaxAttentionBackward& args, Stream& stream) {
  const std::string operation = "softmax_attention_backward";
  expect_common(args, operation, stream.device());
  expect_heads(args.dout, args.q.dims, operation + ": dout", args.q.dtype);
  const auto dtype = args.dq.dtype == args.q.dtype ? args.q.dtype : DType::kFloat32;
  expect_heads(args.dq, args.q.dims, operation + ": dq", dtype);
  expect_heads(args.dk, args.k.dims, operation + ": dk", dtype);
  expect_heads(args.dv, args.k.dims, operation + ": dv", dtype);
  if (args.q.count() == 0) return;
  return stream.device() == Device::kCpu ? cpu::softmax_attention_backward(args, stream)
                                         : cuda::softmax_attention_backward(args, stream);
}

}  // namespace fulgur
