#include "runtime/train/gradient_sums.hpp"

#include <algorithm>
#include <utility>

#include "kernels/memory.hpp"
#include "kernels/transfer.hpp"

namespace fulgur {

GradientSums::GradientSums(std::span<const OwnedRange> owned) : owned_(owned) {
  for (const auto& range : owned)
    sums_.emplace_back(static_cast<std::size_t>(range.gradient.count()));
}

void GradientSums::take(Stream& stream) {
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    const auto values = download<float>(owned_[i].gradient, stream);
    for (std::size_t j = 0; j < values.size(); ++j)
      sums_[i][j] += static_cast<double>(values[j]);
    fill_zero(owned_[i].gradient, stream);
  }
}

void GradientSums::give(Stream& stream) {
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    std::vector<float> rounded(sums_[i].size());
    std::transform(sums_[i].begin(), sums_[i].end(), rounded.begin(),
                   [](double sum) { return static_cast<float>(sum); });
    upload(std::move(rounded), owned_[i].gradient, stream);
    std::fill(sums_[i].begin(), sums_[i].end(), 0.0);
  }
}

}  // namespace fulgur
