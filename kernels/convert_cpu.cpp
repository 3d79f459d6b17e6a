#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/convert_impl.hpp"

namespace fulgur::cpu {
namespace {

// bfloat16 is the upper half of a float32.
float to_float(float x) {
  return x;
}
float to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

void store(float x, float* to) {
  *to = x;
}
void store(float x, std::uint16_t* to) {
  constexpr std::uint32_t kQuiet = 0x40;  // keeps a NaN one when its lower half is cut off
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto rounded = bits + 0x7fff + (bits >> 16 & 1);
  *to = static_cast<std::uint16_t>(std::isnan(x) ? bits >> 16 | kQuiet : rounded >> 16);
}

template <class From, class To>
void convert_elements(const Convert& args) {
  const auto* const x = args.x.as<From>();
  auto* const y = args.y.as<To>();
  for (std::int64_t i = 0; i < args.x.count(); ++i)
    store(args.add ? to_float(y[i]) + to_float(x[i]) : to_float(x[i]), &y[i]);
}

template <class From>
void convert_from(const Convert& args) {
  args.y.dtype == DType::kBFloat16 ? convert_elements<From, std::uint16_t>(args)
                                   : convert_elements<From, float>(args);
}

}  // namespace

void convert(const Convert& args, Stream& stream) {
  stream.run([args] {
    args.x.dtype == DType::kBFloat16 ? convert_from<std::uint16_t>(args)
                                     : convert_from<float>(args);
  });
}

}  // namespace fulgur::cpu
