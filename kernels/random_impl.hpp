#pragma once

#include "kernels/random.hpp"

namespace fulgur {

// FillNormal with the name hashed, so that queued work holds no view of the caller's string.
struct NormalSequence {
  Tensor out;
  std::uint64_t seed = 0, name_hash = 0, first = 0;
  double std = 1.0;
};

namespace cpu {
void fill_normal(const NormalSequence& args, Stream& stream);
}
namespace cuda {
void fill_normal(const NormalSequence& args, Stream& stream);
}

}  // namespace fulgur
