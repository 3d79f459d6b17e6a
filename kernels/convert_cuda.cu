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
  using Smaller = std::conditional_t<sizeof(From) < sizeof(To), From, To>;
  for_each_row_pack<Smaller>(1, args.x.count(), is_aligned(args.x) && is_aligned(args.y), stream,
                             "convert", [=] __device__(std::int64_t, std::int64_t i, auto size) {
                               constexpr int N = decltype(size)::value;
                               const auto more = load_pack<N>(x + i);
                               auto sum = load_pack<N>(y + i);
                               for (int j = 0; j < N; ++j)
                                 store(to_float(sum.at[j]) + to_float(more.at[j]), &sum.at[j]);
                               store_pack(sum, y + i);
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
