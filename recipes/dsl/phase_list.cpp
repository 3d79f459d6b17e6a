#include "recipes/dsl/phase_list.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "recipes/dsl/secrets.hpp"
#include "recipes/dsl/suggest.hpp"
#include "recipes/fields.hpp"

namespace fulgur {
namespace {

using Kind = YamlNode::Kind;

constexpr std::size_t kMaxPhases = 1000;

const YamlEntry* find_entry(const YamlNode& phase, const std::string& key) {
  const auto at = std::find_if(phase.entries.begin(), phase.entries.end(),
                               [&](const YamlEntry& entry) { return entry.key == key; });
  return at == phase.entries.end() ? nullptr : &*at;
}

void check_keys(const YamlNode& phase, const std::vector<std::string>& keys, Problems& problems) {
  for (const auto& entry : phase.entries) {
    if (std::find(keys.begin(), keys.end(), entry.key) != keys.end()) continue;
    if (is_secret_name(entry.key)) {
      problems.add(secret_key(entry.key, entry.position));
      continue;
    }
    const auto near = nearest(entry.key, keys);
    problems.add({"E0107",
                  fmt::format("unknown key `{}`", shortened(entry.key)),
                  {entry.position},
                  "not a key of a phase",
                  fmt::format("{}keys here: {}",
                              near.empty() ? "" : fmt::format("did you mean `{}`?   ", near),
                              fmt::join(keys, ", "))});
  }
}

bool is_phase(const YamlNode& phase, std::size_t number, const std::vector<std::string>& keys,
              Problems& problems) {
  if (phase.kind != Kind::kMap) {
    problems.add({"E0109",
                  fmt::format("phases[{}] must be a mapping of keys", number),
                  {phase.position},
                  "",
                  fmt::format("keys: {}", fmt::join(keys, ", "))});
    return false;
  }
  check_keys(phase, keys, problems);
  if (find_entry(phase, "from") != nullptr) return true;
  problems.add({"E0108",
                fmt::format("`phases[{}].from` is missing", number),
                {phase.position},
                "",
                std::string(find_field("phases.from")->help)});
  return false;
}

}  // namespace

YamlPointer phase_columns(const YamlNode& list, Problems& problems) {
  const auto before = problems.size();
  const auto keys = keys_of("phases");
  if (list.items.size() > kMaxPhases)
    problems.add(
        {"E0104", fmt::format("more than {} phases", kMaxPhases), {list.position}, "", ""});
  for (std::size_t i = 0; i < std::min(list.items.size(), kMaxPhases); ++i)
    is_phase(*list.items[i], i, keys, problems);
  if (problems.size() != before || problems.full()) return nullptr;
  auto columns = std::make_shared<YamlNode>();
  columns->kind = Kind::kMap;
  columns->position = list.position;
  for (const auto& key : keys) {
    auto column = std::make_shared<YamlNode>();
    column->kind = Kind::kList;
    column->position = list.position;
    for (const auto& phase : list.items) {
      const auto* entry = find_entry(*phase, key);
      auto value = std::make_shared<YamlNode>();
      if (entry != nullptr) *value = *entry->value;
      if (value->kind == Kind::kNull) value->position = entry ? entry->position : phase->position;
      if (entry == nullptr) {
        value->kind = Kind::kScalar;
        value->text = key == "learning_rate" ? "-1" : "0";
      }
      column->items.push_back(std::move(value));
    }
    columns->entries.push_back({key, list.position, std::move(column)});
  }
  return columns;
}

}  // namespace fulgur
