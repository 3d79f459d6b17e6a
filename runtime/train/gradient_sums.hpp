#pragma once

#include <span>
#include <vector>

#include "runtime/optim/sharded_adamw.hpp"

namespace fulgur {

// Adds the gradients of a step's micro-batches up in double precision, for a run that others are compared
// with: the passes themselves add them up in float32. On one rank only, where no gradient is on its way to
// another.
//
// Cost: 8 bytes of host memory per parameter; take() waits, and copies every gradient to the host.
class GradientSums {
 public:
  // The ranges outlive this, and hold the gradients from the passes to the optimizer's step.
  explicit GradientSums(std::span<const OwnedRange> owned);

  // Behind the passes of a micro-batch: takes its gradients out of the ranges, which are zero then.
  void take(Stream& stream);
  // Behind the last take() of a step: gives the sums, rounded to float32, to the ranges, and begins anew.
  void give(Stream& stream);

 private:
  std::span<const OwnedRange> owned_;
  std::vector<std::vector<double>> sums_;  // of each range
};

}  // namespace fulgur
