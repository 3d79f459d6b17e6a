#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/heads.hpp"
#include "kernels/softmax_merge_impl.hpp"

namespace fulgur::cpu {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

void merge_row(const float* part, float part_lse, float* o, float& lse, std::int64_t d) {
  if (part_lse == kMinusInfinity) return;
  const float greater = std::max(lse, part_lse);
  const float kept = std::exp(lse - greater), added = std::exp(part_lse - greater);
  const float sum = kept + added, kept_share = kept / sum, added_share = added / sum;
#pragma omp simd
  for (std::int64_t i = 0; i < d; ++i)
    o[i] = kept_share * o[i] + added_share * part[i];
  lse = greater + std::log(sum);
}

}  // namespace

void softmax_merge(const SoftmaxMerge& args, Stream& stream) {
  stream.run([args] {
    const auto T = args.o.dims[0], H = args.o.dims[1], d = args.o.dims[2];
    for (std::int64_t t = 0; t < T; ++t)
      for (std::int64_t h = 0; h < H; ++h) {
        merge_row(head_rows(args.part_o, t, h).data, args.part_lse.as<float>()[t * H + h],
                  head_rows(args.o, t, h).data, args.lse.as<float>()[t * H + h], d);
      }
  });
}

}  // namespace fulgur::cpu
