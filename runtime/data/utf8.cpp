#include "runtime/data/utf8.hpp"

#include <cstddef>

namespace fulgur {
namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";

// The length that a first byte announces; 0 for a byte that begins no character.
std::size_t announced_length(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return 0;
}

// Whether `second` may follow `first`: refuses overlong forms, surrogates and what lies behind U+10FFFF.
bool may_follow(unsigned char first, unsigned char second) {
  if (first == 0xE0) return second >= 0xA0 && second <= 0xBF;
  if (first == 0xED) return second >= 0x80 && second <= 0x9F;
  if (first == 0xF0) return second >= 0x90 && second <= 0xBF;
  if (first == 0xF4) return second >= 0x80 && second <= 0x8F;
  return second >= 0x80 && second <= 0xBF;
}

}  // namespace

std::string take_complete_utf8(std::string& pending) {
  std::string taken;
  std::size_t at = 0;
  while (at < pending.size()) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(pending[at + i]); };
    const auto left = pending.size() - at;
    const auto length = announced_length(byte(0));
    std::size_t good = length == 0 ? 0 : 1;
    while (good > 0 && good < length && good < left &&
           (good == 1 ? may_follow(byte(0), byte(1)) : (byte(good) & 0xC0) == 0x80))
      ++good;
    if (good > 0 && good == left && good < length) break;  // more may come
    if (good > 0 && good == length) {
      taken.append(pending, at, length);
      at += length;
    } else {
      taken += kReplacement;
      at += good == 0 ? 1 : good;
    }
  }
  pending.erase(0, at);
  return taken;
}

}  // namespace fulgur
