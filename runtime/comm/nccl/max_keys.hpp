#pragma once

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur::nccl {

// NCCL's maximum forgets NaN. So the maximum of floats is taken on whole numbers in the same order:
// a float's bits read as a signed integer ascend with the float when it is positive and descend
// when it is negative, so the other bits of a negative one are inverted. NaN is above everything.
//
// to_max_keys: out[i] = key(in[i]), int32 of float32 and int64 of float64, in the memory of `out`,
// which may be `in`. from_max_keys: the floats again, in place. Both queue one pass over memory.
void to_max_keys(const Tensor& in, const Tensor& out, Stream& stream);
void from_max_keys(const Tensor& tensor, Stream& stream);

}  // namespace fulgur::nccl
