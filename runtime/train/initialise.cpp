#include "runtime/train/initialise.hpp"

#include <algorithm>
#include <vector>

#include "kernels/random.hpp"
#include "kernels/transfer.hpp"
#include "runtime/train/owned_boxes.hpp"

namespace fulgur {
namespace {

// Elements [begin, begin + out.count()) of a parameter.
void initialise(const Parameter& parameter, std::int64_t begin, const Tensor& out,
                std::uint64_t seed, Stream& stream) {
  for (const auto& part : parameter.init) {
    const auto from = std::max(part.begin, begin), to = std::min(part.end, begin + out.count());
    if (from >= to) continue;
    const auto some = out.slice(0, from - begin, to - from);
    if (part.std == 0) {
      upload(std::vector<float>(static_cast<std::size_t>(to - from), 1.0f), some, stream);
    } else {
      fill_normal(
          {.out = some, .seed = seed, .name = parameter.name, .first = from, .std = part.std},
          stream);
    }
  }
}

}  // namespace

void initialise_weights(std::span<const OwnedRange> owned, std::uint64_t seed, Stream& stream) {
  for (const auto& range : owned) {
    const auto& parameter = range.parameter->parameter;
    std::int64_t offset = 0;
    for (const auto& box : owned_boxes(range)) {
      for (const auto& run : flat_ranges(parameter.shape, box)) {
        const auto count = run.end - run.begin;
        initialise(parameter, run.begin, range.weight.slice(0, offset, count), seed, stream);
        offset += count;
      }
    }
  }
}

}  // namespace fulgur
