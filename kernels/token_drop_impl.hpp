#pragma once

#include "kernels/token_drop.hpp"

namespace fulgur {

// The run of token t: the last one that starts at or before it, so never an empty one.
constexpr std::int64_t run_of_token(const std::int32_t* starts, std::int64_t num_runs,
                                    std::int64_t t) {
  std::int64_t low = 0, high = num_runs;  // starts[low] <= t < starts[high]
  while (high - low > 1) {
    const auto middle = (low + high) / 2;
    (starts[middle] <= t ? low : high) = middle;
  }
  return low;
}

}  // namespace fulgur

namespace fulgur::cpu {
void key_runs(const KeyRuns& args, Stream& stream);
void count_before(const CountBefore& args, Stream& stream);
void drop_ranked(const DropRanked& args, Stream& stream);
}  // namespace fulgur::cpu
namespace fulgur::cuda {
void key_runs(const KeyRuns& args, Stream& stream);
void count_before(const CountBefore& args, Stream& stream);
void drop_ranked(const DropRanked& args, Stream& stream);
}  // namespace fulgur::cuda
