#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace fulgur {

// A bfloat16 on the host is its bits: the upper half of a float32.
inline float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

// To the nearest, ties to even; a NaN stays one.
inline std::uint16_t to_bfloat16(float value) {
  constexpr std::uint32_t kQuiet = 0x40;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto rounded = bits + 0x7fff + (bits >> 16 & 1);
  return static_cast<std::uint16_t>(std::isnan(value) ? bits >> 16 | kQuiet : rounded >> 16);
}

}  // namespace fulgur
