#pragma once

#include "tests/runtime/parallel/experts/expert_oracle.hpp"

namespace fulgur::test {

// The part of the experts' weights that a rank holds, as indices into the whole.
class ExpertShard {
 public:
  ExpertShard(const ExpertInputs& in, int ep, int etp, int rank)
      : E_(in.num_experts() / ep),
        F_(in.inner() / etp),
        C_(in.width()),
        all_F_(in.inner()),
        expert_(rank / etp % ep * E_),
        column_(rank % etp * F_) {}

  Shape w13_dims() const { return {E_, 2, F_, C_}; }
  Shape w2_dims() const { return {E_, C_, F_}; }
  std::size_t w13(std::size_t i) const {
    const auto n = static_cast<std::int64_t>(i);
    const auto c = n % C_, f = n / C_ % F_, half = n / (C_ * F_);
    return static_cast<std::size_t>(((expert_ * 2 + half) * all_F_ + column_ + f) * C_ + c);
  }
  std::size_t w2(std::size_t i) const {
    const auto n = static_cast<std::int64_t>(i);
    const auto f = n % F_, row = n / F_;
    return static_cast<std::size_t>((expert_ * C_ + row) * all_F_ + column_ + f);
  }

 private:
  std::int64_t E_, F_, C_, all_F_, expert_, column_;
};

}  // namespace fulgur::test
