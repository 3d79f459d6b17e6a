#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "kernels/philox.hpp"
#include "kernels/random_impl.hpp"

namespace fulgur::cpu {
namespace {

// Four normal numbers from one block. The first number of a pair is mapped to (0, 1], so that its
// logarithm is finite.
std::array<double, 4> normals(const PhiloxCounter& block) {
  constexpr double kUnit = 0x1p-32;
  std::array<double, 4> out{};
  for (std::size_t pair = 0; pair < 4; pair += 2) {
    const double radius = std::sqrt(-2.0 * std::log((block[pair] + 1.0) * kUnit));
    const double angle = 2.0 * std::numbers::pi * block[pair + 1] * kUnit;
    out[pair] = radius * std::cos(angle);
    out[pair + 1] = radius * std::sin(angle);
  }
  return out;
}

}  // namespace

void fill_normal(const NormalSequence& args, Stream& stream) {
  stream.run([args] {
    auto* out = args.out.as<float>();
    const auto end = args.first + static_cast<std::uint64_t>(args.out.count());
    for (auto element = args.first; element < end;) {
      const auto block_end = std::min(end, (element / 4 + 1) * 4);
      const auto block = normals(philox_block(args.seed, args.name_hash, element / 4));
      for (; element < block_end; ++element)
        *out++ = static_cast<float>(args.std * block[element % 4]);
    }
  });
}

}  // namespace fulgur::cpu
