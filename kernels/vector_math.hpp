#pragma once

#include <bit>
#include <cstdint>

namespace fulgur {

// exp(x) without a call or a branch, so that loops over it vectorise. Within 1 ulp of the exact value
// where that is a normal number; smaller values lose bits down to 0; infinity from 88.73 on; NaN stays.
//
// exp(x) = 2^n exp(r), x = n ln 2 + r, |r| <= ln(2)/2, with exp(r) = 1 + r + r^2 q(r): q is the
// polynomial of degree 4 with the least relative error of exp (3e-9), found by weighted least squares
// with Lawson's iteration.
inline float vector_exp(float x) noexcept {
  constexpr float kMagic =
      12582912.0f;  // 1.5 2^23: adding it leaves the nearest integer in the low bits
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2High = 0x1.62e4p-1f, kLn2Low = 0x1.7f7d1cp-20f;  // n kLn2High is exact
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float shifted = x * kLog2E + kMagic;
  const std::int32_t n = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kMagic);
  const float rounded = shifted - kMagic;
  const float r = (x - rounded * kLn2High) - rounded * kLn2Low;
  float q = 0x1.6a23ccp-10f;
  q = q * r + 0x1.123a2p-7f;
  q = q * r + 0x1.5558f2p-5f;
  q = q * r + 0x1.555492p-3f;
  q = q * r + 0x1.fffffcp-2f;
  const float exp_r = (q * r * r + r) + 1.0f;
  // 2^n in two factors, because n runs from -150 to 128.
  const std::int32_t half = n >> 1;
  return exp_r * std::bit_cast<float>((half + 127) << 23) *
         std::bit_cast<float>((n - half + 127) << 23);
}

// sigmoid(x) = 1 / (1 + exp(-x)) and 1 - sigmoid(x), both without cancellation or overflow.
struct Sigmoid {
  float value, complement;
};
inline Sigmoid vector_sigmoid(float x) noexcept {
  const float e = vector_exp(x < 0 ? x : -x);
  const float larger = 1.0f / (1.0f + e), smaller = e * larger;
  return {x < 0 ? smaller : larger, x < 0 ? larger : smaller};
}

}  // namespace fulgur
