#include <cuda_runtime.h>

#include <numbers>

#include "kernels/cuda_launch.cuh"
#include "kernels/philox.hpp"
#include "kernels/random_impl.hpp"

namespace fulgur::cuda {

// The same blocks as on the CPU, bit for bit. The logarithm, sine and cosine are the GPU's float64 ones,
// which differ from the C library's in the last bit now and then: after rounding to float32 next to all
// numbers are equal, the others neighbours.
void fill_normal(const NormalSequence& args, Stream& stream) {
  auto* out = args.out.as<float>();
  const auto seed = args.seed, name_hash = args.name_hash, first = args.first;
  const auto std = args.std;
  const auto end = first + static_cast<std::uint64_t>(args.out.count());
  const auto first_pair = first / 2;
  const auto num_pairs = static_cast<std::int64_t>((end - 1) / 2 - first_pair + 1);
  for_each_element(num_pairs, stream, "fill_normal", [=] __device__(std::int64_t i) {
    constexpr double kUnit = 0x1p-32;
    const auto element = (first_pair + static_cast<std::uint64_t>(i)) * 2;
    const auto block = philox_block(seed, name_hash, element / 4);
    const auto pair = element % 4;
    const double radius = sqrt(-2.0 * log((block[pair] + 1.0) * kUnit));
    const double angle = 2.0 * std::numbers::pi * block[pair + 1] * kUnit;
    double sine = 0, cosine = 0;
    sincos(angle, &sine, &cosine);
    if (element >= first) out[element - first] = static_cast<float>(std * (radius * cosine));
    if (element + 1 >= first && element + 1 < end)
      out[element + 1 - first] = static_cast<float>(std * (radius * sine));
  });
}

}  // namespace fulgur::cuda
