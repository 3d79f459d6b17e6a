#include "kernels/random.hpp"

#include <xxhash.h>

#include <stdexcept>

#include "kernels/checks.hpp"
#include "kernels/philox.hpp"
#include "kernels/random_impl.hpp"

namespace fulgur {
namespace {

std::uint64_t hash(std::string_view name) {
  return XXH3_64bits(name.data(), name.size());
}

}  // namespace

void fill_normal(const FillNormal& args, Stream& stream) {
  expect_floats(args.out, {kAny}, "fill_normal: out");
  if (args.first < 0) {
    throw std::invalid_argument("fill_normal: first: expected a number from 0, got " +
                                std::to_string(args.first));
  }
  if (args.out.count() == 0) return;
  const NormalSequence sequence{.out = args.out,
                                .seed = args.seed,
                                .name_hash = hash(args.name),
                                .first = static_cast<std::uint64_t>(args.first),
                                .std = args.std};
  return stream.device() == Device::kCpu ? cpu::fill_normal(sequence, stream)
                                         : cuda::fill_normal(sequence, stream);
}

std::uint64_t random_bits(std::uint64_t seed, std::string_view name, std::uint64_t counter) {
  const auto block = philox_block(seed, hash(name), counter);
  return std::uint64_t{block[0]} | std::uint64_t{block[1]} << 32;
}

}  // namespace fulgur
