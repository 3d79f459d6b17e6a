#include "recipes/dsl/sweep_section.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "recipes/dsl/scalar.hpp"
#include "recipes/dsl/suggest.hpp"
#include "recipes/fields.hpp"

namespace fulgur {
namespace {

using Kind = YamlNode::Kind;

constexpr auto kKeys = std::to_array<SweepKey>({
    {"axes", "fields, each with a list of values: every combination is tried"},
    {"zip", "mappings of fields to lists of one length, which are walked together"},
    {"layout", "auto: and every legal layout of as many ranks as the recipe has"},
    {"exclude", "combinations to leave out: mappings of fields to values"},
    {"where", "conditions that all must hold, as in predicted.memory < 100GiB"},
    {"steps", "of each run"},
    {"warmup", "steps of each run that are not measured"},
    {"best", "how many are run: those that are predicted to be the fastest"},
    {"slower", "left out without a run: slower than the fastest by this factor"},
});

constexpr auto kPredicted = std::to_array<PredictedName>({
    {"predicted.step_seconds", Unit::kSeconds, "time of a step"},
    {"predicted.tokens_per_second", Unit::kNone, "of all ranks together"},
    {"predicted.mfu", Unit::kNone, "between 0 and 1"},
    {"predicted.bubble", Unit::kNone, "part of its passes that a stage waits, the mean"},
    {"predicted.memory", Unit::kBytes, "of the fullest rank"},
    {"predicted.mean_memory", Unit::kBytes, "of all ranks"},
    {"world", Unit::kNone, "number of ranks"},
});

// A value as it can stand behind field=.
std::string argument_text(const YamlNode& node, bool inside = false) {
  std::string text;
  switch (node.kind) {
    case Kind::kNull:
      return inside ? "~" : "";
    case Kind::kScalar:
      if (!inside || (!node.quoted && node.text.find_first_of(",[]{}:#'\"") == std::string::npos))
        return node.text;
      for (const char c : node.text)
        text += c == '\'' ? std::string("''") : std::string(1, c);
      return "'" + text + "'";
    case Kind::kList:
      for (const auto& item : node.items)
        text += (text.empty() ? "" : ", ") + argument_text(*item, true);
      return "[" + text + "]";
    case Kind::kMap:
      for (const auto& entry : node.entries)
        text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", entry.key,
                            argument_text(*entry.value, true));
      return "{" + text + "}";
  }
  return text;
}

// Reads the section; goes on after a mistake.
class Reader {
 public:
  Reader(const YamlNode& section, Problems& problems) : section_(section), problems_(problems) {}

  SweepSection read() {
    if (section_.kind == Kind::kNull) return result_;
    if (section_.kind != Kind::kMap) {
      report("E0109", "`sweep` must be a mapping of keys", section_.position);
      return result_;
    }
    for (const auto& entry : section_.entries)
      read_entry(entry);
    check_steps();
    check_points();
    return result_;
  }

 private:
  void report(const char* code, std::string message, const Position& at, std::string help = "") {
    problems_.add({code, std::move(message), {at}, "", std::move(help)});
  }

  void read_entry(const YamlEntry& entry) {
    const auto& value = *entry.value;
    if (entry.key == "axes") return read_axes(value);
    if (entry.key == "zip") return read_zips(value);
    if (entry.key == "layout") return read_layout(value);
    if (entry.key == "exclude") return read_exclusions(value);
    if (entry.key == "where") return read_conditions(value);
    if (entry.key == "steps") return read_count(entry, result_.steps, 1'000'000);
    if (entry.key == "warmup") return read_count(entry, result_.warmup, 1'000'000);
    if (entry.key == "best") return read_count(entry, result_.best, 10'000);
    if (entry.key == "slower") return read_factor(value);
    std::vector<std::string> keys;
    keys.reserve(kKeys.size());
    for (const auto& key : kKeys)
      keys.emplace_back(key.name);
    const auto near = nearest(entry.key, keys);
    report("E0107", fmt::format("unknown key `{}` below `sweep`", shortened(entry.key)),
           entry.position,
           near.empty() ? fmt::format("keys here: {}", fmt::join(keys, ", "))
                        : fmt::format("did you mean `{}`?", near));
  }

  void read_count(const YamlEntry& entry, std::int64_t& count, std::int64_t most) {
    const auto& node = *entry.value;
    const auto parsed = parse_integer(node.kind == Kind::kScalar ? node.text : "", Unit::kCount);
    if (const auto* error = std::get_if<ScalarError>(&parsed)) {
      return report(error->code.c_str(), fmt::format("`sweep.{}` {}", entry.key, error->message),
                    node.position, error->help);
    }
    const auto value = std::get<std::int64_t>(parsed);
    const std::int64_t least = entry.key == "warmup" ? 0 : 1;
    if (value < least || value > most) {
      return report("E0111",
                    fmt::format("`sweep.{}` is {}, but must lie between {} and {}", entry.key,
                                value, least, most),
                    node.position);
    }
    count = value;
    positions_[entry.key == "steps" ? 0 : 1] = node.position;
  }

  void read_factor(const YamlNode& node) {
    const auto parsed = parse_real(node.kind == Kind::kScalar ? node.text : "", Unit::kNone);
    if (const auto* error = std::get_if<ScalarError>(&parsed)) {
      return report(error->code.c_str(), fmt::format("`sweep.slower` {}", error->message),
                    node.position, error->help);
    }
    const double value = std::get<double>(parsed);
    if (!(value >= 1)) {
      return report("E0111", fmt::format("`sweep.slower` is {}, but must be at least 1", value),
                    node.position);
    }
    result_.slower = value;
  }

  void read_layout(const YamlNode& node) {
    if (node.kind == Kind::kScalar && node.text == "auto") {
      result_.layouts = true;
      return;
    }
    report("E0112", fmt::format("`sweep.layout` is `{}`", shortened(argument_text(node))),
           node.position, "auto: every legal layout; single axes stand below `axes`");
  }

  // True when the name is that of a field which a sweep can set.
  bool check_field(const std::string& name, const Position& at) {
    if (find_field(name) == nullptr) {
      problems_.add(unknown_key(name, at));
      return false;
    }
    if (!set_.insert(name).second) {
      report("E0131", fmt::format("`{}` stands in two axes of the sweep", name), at,
             "one of them would win over the other");
      return false;
    }
    return true;
  }

  const std::vector<YamlPointer>* values_of(const YamlEntry& entry) {
    if (entry.value->kind == Kind::kList && !entry.value->items.empty()) return &entry.value->items;
    report("E0109", fmt::format("`{}` wants a list of values here", entry.key),
           entry.value->position, fmt::format("as in {}: [1, 2]", entry.key));
    return nullptr;
  }

  void read_axes(const YamlNode& node) {
    if (node.kind != Kind::kMap)
      return report("E0109", "`sweep.axes` must be a mapping of fields to lists", node.position);
    for (const auto& entry : node.entries) {
      const bool known = check_field(entry.key, entry.position);
      const auto* values = values_of(entry);
      if (!known || values == nullptr) continue;
      SweepAxis axis{.fields = {entry.key}, .points = {}};
      for (const auto& value : *values)
        axis.points.push_back({entry.key + "=" + argument_text(*value)});
      result_.axes.push_back(std::move(axis));
    }
  }

  void read_zips(const YamlNode& node) {
    if (node.kind == Kind::kMap) return read_zip(node);
    if (node.kind != Kind::kList)
      return report("E0109", "`sweep.zip` must be a list of mappings", node.position);
    for (const auto& item : node.items) {
      if (item->kind == Kind::kMap)
        read_zip(*item);
      else
        report("E0109", "`sweep.zip` wants mappings of fields to lists", item->position);
    }
  }

  void read_zip(const YamlNode& node) {
    SweepAxis axis;
    for (const auto& entry : node.entries) {
      const bool known = check_field(entry.key, entry.position);
      const auto* values = values_of(entry);
      if (!known || values == nullptr) continue;
      if (axis.fields.empty()) axis.points.resize(values->size());
      if (values->size() != axis.points.size()) {
        report("E0132",
               fmt::format("`{}` has {} values and `{}` {}: lists of a zip are walked together",
                           entry.key, values->size(), axis.fields.front(), axis.points.size()),
               entry.value->position);
        continue;
      }
      axis.fields.push_back(entry.key);
      for (std::size_t i = 0; i < values->size(); ++i)
        axis.points[i].push_back(entry.key + "=" + argument_text(*(*values)[i]));
    }
    if (!axis.fields.empty()) result_.axes.push_back(std::move(axis));
  }

  void read_exclusions(const YamlNode& node) {
    if (node.kind != Kind::kList)
      return report("E0109", "`sweep.exclude` must be a list of mappings", node.position);
    for (const auto& item : node.items) {
      if (item->kind != Kind::kMap || item->entries.empty()) {
        report("E0109", "`sweep.exclude` wants mappings of fields to values", item->position);
        continue;
      }
      SweepExclusion exclusion;
      for (const auto& entry : item->entries) {
        if (find_field(entry.key) == nullptr)
          problems_.add(unknown_key(entry.key, entry.position));
        else
          exclusion.values.push_back({entry.key, argument_text(*entry.value)});
      }
      if (exclusion.values.size() == item->entries.size())
        result_.exclude.push_back(std::move(exclusion));
    }
  }

  void read_conditions(const YamlNode& node) {
    if (node.kind == Kind::kScalar) return read_condition(node);
    if (node.kind != Kind::kList)
      return report("E0109", "`sweep.where` must be a list of conditions", node.position);
    for (const auto& item : node.items)
      read_condition(*item);
  }

  void read_condition(const YamlNode& node) {
    if (node.kind != Kind::kScalar)
      return report("E0109", "a condition is a text", node.position, "as in layout.tp <= 8");
    try {
      SweepCondition condition{.text = node.text, .expression = parse_expression(node.text)};
      bool known = true;
      for (const auto& name : names_in(condition.expression))
        known = check_name(name, node.position) && known;
      if (known) result_.where.push_back(std::move(condition));
    } catch (const ExpressionError& error) {
      report(error.code.c_str(), error.what(), node.position, error.help);
    }
  }

  bool check_name(const std::string& name, const Position& at) {
    std::vector<std::string> names;
    names.reserve(kPredicted.size() + fields().size());
    for (const auto& each : kPredicted)
      names.emplace_back(each.name);
    if (find_field(name) != nullptr || std::find(names.begin(), names.end(), name) != names.end())
      return true;
    for (const auto& field : fields())
      names.emplace_back(field.name);
    const auto near = nearest(name, names);
    report("E0115", fmt::format("`{}` is no field and no figure of a plan", shortened(name)), at,
           near.empty() ? "" : fmt::format("did you mean `{}`?", near));
    return false;
  }

  void check_steps() {
    if (result_.warmup + 2 <= result_.steps) return;
    std::vector<Position> at;
    for (const auto& position : positions_)
      if (position) at.push_back(*position);
    problems_.add({"E0133",
                   fmt::format("{} steps with {} of warm-up leave fewer than 2 to measure",
                               result_.steps, result_.warmup),
                   at, "", fmt::format("sweep.steps: {} or more", result_.warmup + 2)});
  }

  void check_points() {
    double points = 1;
    for (const auto& axis : result_.axes)
      points *= static_cast<double>(axis.points.size());
    if (points <= static_cast<double>(kMaxSweepPoints)) return;
    report("E0134",
           fmt::format("the axes of the sweep have {:.0f} combinations, at most {} are tried",
                       points, kMaxSweepPoints),
           section_.position, "fewer values, or zip instead of axes");
  }

  const YamlNode& section_;
  Problems& problems_;
  SweepSection result_;
  std::set<std::string, std::less<>> set_;
  std::array<std::optional<Position>, 2> positions_;  // of steps and warmup
};

}  // namespace

std::span<const SweepKey> sweep_keys() noexcept {
  return kKeys;
}

std::span<const PredictedName> predicted_names() noexcept {
  return kPredicted;
}

SweepSection read_sweep_section(const YamlNode& section, Problems& problems) {
  return Reader(section, problems).read();
}

}  // namespace fulgur
