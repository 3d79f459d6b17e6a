#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace fulgur {

// A machine that ssh reaches, and how many workers it may have.
struct HostSlots {
  std::string host;  // "node-3", "ada@node-3"; or a name from the user's ssh configuration
  int slots = 1;

  friend bool operator==(const HostSlots&, const HostSlots&) = default;
};

// Whether a text can be the name of a host, or a node, on a command line: it is no option and has no
// character that a shell or Slurm gives a meaning to.
inline bool is_host_name(std::string_view text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@";
  return !text.empty() && text.size() <= 255 && text.front() != '-' && text.front() != '@' &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

// "node-3:8" or "node-3", which has one slot; nothing when it is neither.
inline std::optional<HostSlots> parse_host(std::string_view text) {
  constexpr int kMost = 1024;
  HostSlots host;
  const auto colon = text.find(':');
  host.host = text.substr(0, colon);
  if (!is_host_name(host.host)) return std::nullopt;
  if (colon == std::string_view::npos) return host;
  const auto digits = text.substr(colon + 1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), host.slots);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  if (host.slots < 1 || host.slots > kMost) return std::nullopt;
  return host;
}

}  // namespace fulgur
