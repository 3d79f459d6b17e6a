#include <cuda_runtime.h>

#include "kernels/convert_impl.hpp"
#include "kernels/cuda_floats.cuh"
#include "kernels/cuda_launch.cuh"

namespace fulgur::cuda {

void convert(const Convert& args, Stream& stream) {
  with_float_type(args.x.dtype, [&](auto from) {
    with_float_type(args.y.dtype, [&](auto to) {
      const auto* x = args.x.as<decltype(from)>();
      auto* y = args.y.as<decltype(to)>();
      const bool add = args.add;
      for_each_element(args.x.count(), stream, "convert", [=] __device__(std::int64_t i) {
        store(add ? to_float(y[i]) + to_float(x[i]) : to_float(x[i]), &y[i]);
      });
    });
  });
}

}  // namespace fulgur::cuda
