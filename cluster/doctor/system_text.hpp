#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// What stands in files of /proc and /sys, as text that has been read. A text that does not say it gives
// kUnknown or nothing.
namespace fulgur::system_text {

// A whole number, white space around it apart.
std::optional<std::int64_t> number(std::string_view text);

// Of /proc/meminfo: the line "<key>:  123 kB", in bytes; a line without kB as it is.
std::int64_t meminfo(std::string_view text, std::string_view key);

// Of a control group's memory.max: bytes, or kUnlimited for "max" and for what exceeds any machine.
std::int64_t byte_limit(std::string_view text);

// Of a control group's cpu.max: "150000 100000" is 1.5 cores, "max 100000" is 0.
double cpu_quota(std::string_view text);

// Of /proc/self/cgroup: the path in the unified hierarchy, "/" when there is none.
std::string control_group(std::string_view text);

// Of a setting with its choices: "always [madvise] never" is "madvise".
std::string chosen(std::string_view text);

// Of ip_local_port_range: "32768 60999".
std::optional<std::pair<std::int64_t, std::int64_t>> port_range(std::string_view text);

// Of /proc/driver/nvidia/version: "580.159.04".
std::string nvidia_driver(std::string_view text);

// Of /proc/self/status: whether bit `bit` is set in the effective capabilities.
bool has_capability(std::string_view text, int bit);

}  // namespace fulgur::system_text
