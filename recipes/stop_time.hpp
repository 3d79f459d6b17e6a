#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace fulgur {

// "2026-01-31T08:00:00Z" as a point in time; nothing when the text is no such time.
std::optional<std::chrono::system_clock::time_point> parse_stop_time(const std::string& text);

}  // namespace fulgur
