#include "recipes/dsl/suggest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

#include "recipes/fields.hpp"

namespace fulgur {
namespace {

constexpr std::size_t kLongestKey = 64;  // a longer one is no misspelling of ours

// The dotted name of a field or section whose last part is `key`.
std::string elsewhere(std::string_view key) {
  for (const auto& field : fields()) {
    // These repeat keys of others.
    if (field.name.starts_with("phases.") || field.name.starts_with("data.sources.")) continue;
    for (auto end = field.name.find('.');; end = field.name.find('.', end + 1)) {
      const auto name = field.name.substr(0, end);
      if (name.substr(name.rfind('.') + 1) == key) return std::string(name);
      if (end == std::string_view::npos) break;
    }
  }
  return "";
}

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    last[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string nearest(std::string_view text, std::span<const std::string> candidates) {
  std::string best;
  int best_distance = 3;
  if (text.size() > kLongestKey) return best;
  for (const auto& candidate : candidates) {
    const int distance = edit_distance(text, candidate);
    if (distance < best_distance && distance < static_cast<int>(candidate.size())) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::span<const std::string_view> special_keys() noexcept {
  static constexpr auto kKeys = std::to_array<std::string_view>({"extends", "vars", "sweep"});
  return kKeys;
}

std::string suggest_key(std::string_view section, std::string_view key) {
  auto keys = keys_of(section);
  if (section.empty()) keys.insert(keys.end(), special_keys().begin(), special_keys().end());
  auto here = fmt::format("keys here: {}", fmt::join(keys, ", "));
  if (const auto near = nearest(key, keys); !near.empty())
    return fmt::format("did you mean `{}`?   ({})", near, here);
  if (const auto name = elsewhere(key); !name.empty()) {
    const auto dot = name.rfind('.');
    return dot == std::string::npos
               ? fmt::format("this key exists at the top of the recipe   ({})", here)
               : fmt::format("this key exists under `{}`   ({})", name.substr(0, dot), here);
  }
  return here;
}

std::string section_of(std::string_view name) {
  auto dot = name.rfind('.');
  while (dot != std::string_view::npos && !is_section(name.substr(0, dot)))
    dot = dot == 0 ? std::string_view::npos : name.rfind('.', dot - 1);
  return dot == std::string_view::npos ? "" : std::string(name.substr(0, dot));
}

Diagnostic unknown_key(std::string_view name, const Position& at) {
  const auto section = section_of(name);
  const auto key = section.empty() ? name : name.substr(section.size() + 1);
  const auto where = section.empty() ? "a recipe" : fmt::format("`{}`", section);
  return {"E0107",
          fmt::format("unknown key `{}`", shortened(key)),
          {at},
          "not a key of " + where,
          suggest_key(section, key)};
}

}  // namespace fulgur
