#include "cluster/doctor/system_text.hpp"

#include <cctype>
#include <charconv>
#include <sstream>
#include <vector>

#include "cluster/doctor/facts.hpp"

namespace fulgur::system_text {
namespace {

constexpr std::int64_t kKiB = 1024;

std::vector<std::string> words(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::string> found;
  for (std::string word; stream >> word;)
    found.push_back(word);
  return found;
}

// What stands behind "<key>:" in the line that begins so.
std::string value_of(std::string_view text, std::string_view key) {
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ':')
      return line.substr(key.size() + 1);
  }
  return {};
}

std::optional<std::int64_t> whole_number(std::string_view text, int base) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::int64_t> number(std::string_view text) {
  const auto found = words(text);
  return found.size() == 1 ? whole_number(found[0], 10) : std::nullopt;
}

std::int64_t meminfo(std::string_view text, std::string_view key) {
  const auto found = words(value_of(text, key));
  const auto value = found.empty() ? std::nullopt : whole_number(found[0], 10);
  if (!value) return kUnknown;
  return found.size() > 1 && found[1] == "kB" ? *value * kKiB : *value;
}

std::int64_t byte_limit(std::string_view text) {
  constexpr std::int64_t kMoreThanAnyMachine = std::int64_t{1} << 60;
  const auto found = words(text);
  if (found.size() != 1) return kUnknown;
  if (found[0] == "max") return kUnlimited;
  const auto bytes = whole_number(found[0], 10);
  if (!bytes) return kUnknown;
  return *bytes >= kMoreThanAnyMachine ? kUnlimited : *bytes;
}

double cpu_quota(std::string_view text) {
  const auto found = words(text);
  if (found.size() != 2) return 0;
  const auto quota = whole_number(found[0], 10), period = whole_number(found[1], 10);
  if (!quota || !period || *period <= 0) return 0;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::string control_group(std::string_view text) {
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("0::/")) return line.substr(3);
  }
  return "/";
}

std::string chosen(std::string_view text) {
  const auto begin = text.find('['), end = text.find(']');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return {};
  return std::string(text.substr(begin + 1, end - begin - 1));
}

std::optional<std::pair<std::int64_t, std::int64_t>> port_range(std::string_view text) {
  const auto found = words(text);
  if (found.size() != 2) return std::nullopt;
  const auto first = whole_number(found[0], 10), last = whole_number(found[1], 10);
  if (!first || !last) return std::nullopt;
  return std::pair(*first, *last);
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.04  ...": the first word that is a version.
std::string nvidia_driver(std::string_view text) {
  for (const auto& word : words(text)) {
    const bool digits = word.find_first_not_of("0123456789.") == std::string::npos;
    if (digits && word.find('.') != std::string::npos) return word;
  }
  return {};
}

bool has_capability(std::string_view text, int bit) {
  const auto found = words(value_of(text, "CapEff"));
  const auto mask = found.empty() ? std::nullopt : whole_number(found[0], 16);
  return mask && ((*mask >> bit) & 1) != 0;
}

}  // namespace fulgur::system_text
