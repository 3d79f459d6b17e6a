#include <cuda_runtime.h>

#include "kernels/convert_impl.hpp"
#include "kernels/cuda_packs.cuh"

namespace fulgur::cuda {
namespace {

template <class From, class To>
void convert_elements(const Convert& args, Stream& stream) {
  if (!args.add) {
    return map<From, To>({args.x}, {args.y}, stream, "convert",
                         [] __device__(const float(&x)[1], float(&y)[1]) { y[0] = x[0]; });
  }
  const auto* x = args.x.as<From>();
  auto* y = args.y.as<To>();
  for_each_element(args.x.count(), stream, "convert", [=] __device__(std::int64_t i) {
    store(to_float(y[i]) + to_float(x[i]), &y[i]);
  });
}

}  // namespace

void convert(const Convert& args, Stream& stream) {
  with_float_type(args.x.dtype, [&](auto from) {
    with_float_type(args.y.dtype,
                    [&](auto to) { convert_elements<decltype(from), decltype(to)>(args, stream); });
  });
}

}  // namespace fulgur::cuda
