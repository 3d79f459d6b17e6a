#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>

#include "cluster/launch/node_launcher.hpp"

extern "C" char** environ;  // NOLINT(readability-redundant-declaration): POSIX asks for it

namespace fulgur {

std::vector<int> fill_nodes(const std::vector<int>& slots, int world) {
  std::vector<int> ranks;
  int left = world;
  for (const int each : slots) {
    if (left == 0) break;
    ranks.push_back(std::min(each, left));
    left -= ranks.back();
  }
  if (left > 0) {
    throw LaunchError(fmt::format("{} workers want as many slots; {} hosts have {}", world,
                                  slots.size(), std::accumulate(slots.begin(), slots.end(), 0)));
  }
  return ranks;
}

std::vector<std::string> environment_for_workers() {
  constexpr auto kPrefixes =
      std::to_array<std::string_view>({"UCX_", "NCCL_", "OPENBLAS_", "CUDA_DEVICE_"});
  std::vector<std::string> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const bool wanted = std::any_of(kPrefixes.begin(), kPrefixes.end(),
                                    [text](auto prefix) { return text.starts_with(prefix); });
    const bool dealt = text.starts_with("OPENBLAS_NUM_THREADS=");  // each node deals its own cores
    if (wanted && !dealt) found.emplace_back(text);
  }
  return found;
}

}  // namespace fulgur
