#include "kernels/adamw.hpp"

#include <stdexcept>

#include "kernels/adamw_impl.hpp"
#include "kernels/checks.hpp"

namespace fulgur {
namespace {

void expect_beta(double beta, const char* name) {
  if (!(beta >= 0 && beta < 1)) {
    throw std::invalid_argument("adamw: " + std::string(name) +
                                ": expected a number in [0, 1), got " + std::to_string(beta));
  }
}

}  // namespace

void adamw(const AdamW& args, Stream& stream) {
  expect_floats(args.weight, {kAny}, "adamw: weight");
  const auto n = args.weight.dims[0];
  expect_floats(args.gradient, {n}, "adamw: gradient");
  expect_floats(args.exp_avg, {n}, "adamw: exp_avg");
  expect_floats(args.exp_avg_sq, {n}, "adamw: exp_avg_sq");
  if (args.copy.data != nullptr) expect_dense(args.copy, {n}, DType::kBFloat16, "adamw: copy");
  if (args.gradient_scale.data != nullptr)
    expect_floats(args.gradient_scale, {1}, "adamw: gradient_scale");
  expect_beta(args.beta1, "beta1");
  expect_beta(args.beta2, "beta2");
  if (args.step < 1) {
    throw std::invalid_argument("adamw: step: expected a number from 1, got " +
                                std::to_string(args.step));
  }
  if (n == 0) return;
  return stream.device() == Device::kCpu ? cpu::adamw(args, stream) : cuda::adamw(args, stream);
}

}  // namespace fulgur
