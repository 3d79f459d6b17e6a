#pragma once

#include <array>
#include <cstdint>

namespace fulgur {

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a
// bijection of 128-bit counters for every 64-bit key, so any block of a sequence can be had at once,
// without those before it.
using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

constexpr PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key) noexcept {
  for (int round = 0; round < 10; ++round) {
    const auto product0 = std::uint64_t{0xD2511F53u} * counter[0];
    const auto product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

// The block `index` of the sequence (seed, name): the seed is the key; the counter holds the index in
// its lower half and the hash of the name in its upper half, so that sequences never overlap unless
// their names collide in all 64 bits.
constexpr PhiloxCounter philox_block(std::uint64_t seed, std::uint64_t name_hash,
                                     std::uint64_t index) noexcept {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  return philox4x32({low(index), high(index), low(name_hash), high(name_hash)},
                    {low(seed), high(seed)});
}

}  // namespace fulgur
