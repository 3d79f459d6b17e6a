#include "runtime/train/initialise.hpp"

#include <algorithm>
#include <vector>

#include "kernels/random.hpp"
#include "kernels/transfer.hpp"

namespace fulgur {

void initialise_weights(std::span<const OwnedRange> owned, std::uint64_t seed, Stream& stream) {
  for (const auto& range : owned) {
    for (const auto& part : range.parameter->init) {
      const auto begin = std::max(part.begin, range.begin), end = std::min(part.end, range.end);
      if (begin >= end) continue;
      const auto out = range.weight.slice(0, begin - range.begin, end - begin);
      if (part.std == 0) {
        upload(std::vector<float>(static_cast<std::size_t>(end - begin), 1.0f), out, stream);
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
