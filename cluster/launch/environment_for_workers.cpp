#include <algorithm>
#include <array>
#include <string_view>

#include "cluster/launch/node_launcher.hpp"

extern "C" char** environ;  // NOLINT(readability-redundant-declaration): POSIX asks for it

namespace fulgur {

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
