#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "orchestrator/coordinator/coordinator.hpp"

namespace fulgur {

// The last `count` lines of a file, without their line ends; none when it cannot be read.
std::vector<std::string> last_lines(const std::filesystem::path& file, std::size_t count);

// Why a run ended early, for people: which rank, what happened to it, who waited for whom and for how long, where
// each rank stood, the rank's last lines on stderr, and how to go on. Lines end in LF. `resume` is the command that does so; empty: none is named.
std::string explain(const RunResult& result, const std::string& resume);

}  // namespace fulgur
