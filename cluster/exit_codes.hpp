#pragma once

#include <string_view>

namespace fulgur {

// What the two programs exit with; docs/architecture.md has the table.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitBadData = 65;
inline constexpr int kExitUnavailable = 69;
inline constexpr int kExitInUse = 73;
inline constexpr int kExitStopped = 75;
inline constexpr int kExitAuthentication = 77;
inline constexpr int kExitRecipe = 78;
inline constexpr int kExitDoNotRepeat = 93;
inline constexpr int kExitSignalBase = 128;

// The kinds of failure that a worker tells (Failed::kind), and the exit code of each.
namespace failure {
inline constexpr std::string_view kData = "data";
inline constexpr std::string_view kCheckpoint = "checkpoint";  // damaged, or of another run
inline constexpr std::string_view kDisk = "disk";
inline constexpr std::string_view kRecipe = "recipe";
inline constexpr std::string_view kDiverged = "diverged";
inline constexpr std::string_view kComm = "comm";  // often only the echo of another rank's death
inline constexpr std::string_view kOther = "other";
}  // namespace failure

constexpr int exit_code(std::string_view kind) noexcept {
  if (kind == failure::kData || kind == failure::kCheckpoint) return kExitBadData;
  if (kind == failure::kRecipe) return kExitRecipe;
  if (kind == failure::kDiverged) return kExitDoNotRepeat;
  return kExitFailed;
}

}  // namespace fulgur
