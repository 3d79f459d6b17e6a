#include "kernels/router.hpp"

#include <stdexcept>

#include "kernels/checks.hpp"
#include "kernels/router_impl.hpp"

namespace fulgur {
namespace {

void expect_choices(std::int64_t k, std::int64_t E, const char* name) {
  if (k < 1 || k > E) {
    throw std::invalid_argument(std::string(name) + ": expected 1 to " + std::to_string(E) +
                                " experts per token, got " + std::to_string(k));
  }
}

}  // namespace

void router_forward(const RouterForward& args, Stream& stream) {
  expect_floats(args.logits, {kAny, kAny}, "router_forward: logits");
  expect_floats(args.weights, {args.logits.dims[0], kAny}, "router_forward: weights");
  const auto T = args.logits.dims[0], E = args.logits.dims[1], k = args.weights.dims[1];
  expect_choices(k, E, "router_forward: weights");
  expect_floats(args.probabilities, {T, E}, "router_forward: probabilities");
  expect_ints(args.experts, {T, k}, "router_forward: experts");
  expect_ints(args.counts, {E}, "router_forward: counts");
  expect_dense(args.probability_sums, {E}, DType::kFloat64, "router_forward: probability_sums");
  if (T == 0) return;
  return stream.device() == Device::kCpu ? cpu::router_forward(args, stream)
                                         : cuda::router_forward(args, stream);
}

void router_backward(const RouterBackward& args, Stream& stream) {
  expect_floats(args.probabilities, {kAny, kAny}, "router_backward: probabilities");
  expect_floats(args.weights, {args.probabilities.dims[0], kAny}, "router_backward: weights");
  const auto T = args.probabilities.dims[0], E = args.probabilities.dims[1];
  const auto k = args.weights.dims[1];
  expect_choices(k, E, "router_backward: weights");
  expect_floats(args.dweights, {T, k}, "router_backward: dweights");
  expect_floats(args.dprobability, {E}, "router_backward: dprobability");
  expect_ints(args.experts, {T, k}, "router_backward: experts");
  expect_floats(args.dlogits, {T, E}, "router_backward: dlogits");
  if (T == 0) return;
  return stream.device() == Device::kCpu ? cpu::router_backward(args, stream)
                                         : cuda::router_backward(args, stream);
}

void router_replay(const RouterReplay& args, Stream& stream) {
  expect_floats(args.reference, {kAny, kAny}, "router_replay: reference");
  expect_floats(args.weights, {args.reference.dims[0], kAny}, "router_replay: weights");
  const auto T = args.reference.dims[0], E = args.reference.dims[1], k = args.weights.dims[1];
  expect_choices(k, E, "router_replay: weights");
  expect_floats(args.probabilities, {T, E}, "router_replay: probabilities");
  expect_ints(args.experts, {T, k}, "router_replay: experts");
  expect_ints(args.counts, {E}, "router_replay: counts");
  expect_ints(args.replayed, {1}, "router_replay: replayed");
  if (T == 0 || k == E) return;
  return stream.device() == Device::kCpu ? cpu::router_replay(args, stream)
                                         : cuda::router_replay(args, stream);
}

}  // namespace fulgur
