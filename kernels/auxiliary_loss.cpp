#include "kernels/auxiliary_loss.hpp"

#include <stdexcept>

#include "kernels/auxiliary_loss_impl.hpp"
#include "kernels/checks.hpp"

namespace fulgur {

void auxiliary_loss(const AuxiliaryLoss& args, Stream& stream) {
  expect_ints(args.counts, {kAny, kAny}, "auxiliary_loss: counts");
  const Shape dims = args.counts.dims;
  expect_dense(args.probability_sums, dims, DType::kFloat64, "auxiliary_loss: probability_sums");
  expect_floats(args.dprobability, dims, "auxiliary_loss: dprobability");
  expect_dense(args.loss, {1}, DType::kFloat64, "auxiliary_loss: loss");
  if (args.tokens <= 0 || args.experts_per_token <= 0)
    throw std::invalid_argument("auxiliary_loss: tokens and experts_per_token must be positive");
  return stream.device() == Device::kCpu ? cpu::auxiliary_loss(args, stream)
                                         : cuda::auxiliary_loss(args, stream);
}

}  // namespace fulgur
