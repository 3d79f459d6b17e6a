#include "runtime/train/initialise.hpp"

#include <algorithm>

#include "kernels/random.hpp"

namespace fulgur {
namespace {

void fill_ones(const Tensor& out, Stream& stream) {
  stream.run([out] { std::fill_n(out.as<float>(), out.count(), 1.0f); });
}

}  // namespace

void initialise_weights(std::span<const OwnedRange> owned, std::uint64_t seed, Stream& stream) {
  for (const auto& range : owned) {
    for (const auto& part : range.parameter->init) {
      const auto begin = std::max(part.begin, range.begin), end = std::min(part.end, range.end);
      if (begin >= end) continue;
      const auto out = range.weight.slice(0, begin - range.begin, end - begin);
      if (part.std == 0) {
        fill_ones(out, stream);
      } else {
        fill_normal({.out = out,
                     .seed = seed,
                     .name = range.parameter->name,
                     .first = begin,
                     .std = part.std},
                    stream);
      }
    }
  }
}

}  // namespace fulgur
