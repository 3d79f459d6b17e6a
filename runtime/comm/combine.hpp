#pragma once

#include <cstdint>
#include <span>

#include "kernels/tensor.hpp"
#include "runtime/comm/operation.hpp"

namespace fulgur {

// out[i] = ((x0[i] op x1[i]) op x2[i]) ... for i in [0, count), with xr = sources[r] of host
// memory. out may be one of the sources. float32, float64, int32, int64; integer sums wrap around.
// Sums of bfloat16 too: they are made in float32 and rounded once. A NaN among floats gives a NaN, for kMax
// too.
// Throws std::invalid_argument for another dtype or no source.
void combine(ReduceOp op, DType dtype, std::span<const void* const> sources, void* out,
             std::int64_t count);

}  // namespace fulgur
