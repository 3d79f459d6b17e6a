#include "kernels/rotary.hpp"

#include <stdexcept>
#include <string>

#include "kernels/checks.hpp"
#include "kernels/rotary_impl.hpp"

namespace fulgur {

void rotary(const Rotary& args, Stream& stream) {
  expect_dims(args.x, {kAny, kAny, kAny}, "rotary: x");
  activation_dtype(args.x, stream.device(), "rotary: x");
  expect_dense_rows(args.x, "rotary: x");
  expect_ints(args.positions, {args.x.dims[0]}, "rotary: positions");
  if (args.rotary_dim < 0 || args.rotary_dim % 2 != 0 || args.rotary_dim > args.x.dims[2]) {
    throw std::invalid_argument("rotary: rotary_dim: expected an even number from 0 to " +
                                std::to_string(args.x.dims[2]) + ", got " +
                                std::to_string(args.rotary_dim));
  }
  if (!(args.base > 0)) throw std::invalid_argument("rotary: base: expected a positive number");
  if (args.x.count() == 0 || args.rotary_dim == 0) return;
  return stream.device() == Device::kCpu ? cpu::rotary(args, stream) : cuda::rotary(args, stream);
}

}  // namespace fulgur
