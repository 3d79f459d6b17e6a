#include "recipes/dsl/record_list.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>

#include "recipes/dsl/secrets.hpp"
#include "recipes/dsl/suggest.hpp"
#include "recipes/fields.hpp"

namespace fulgur {
namespace {

using Kind = YamlNode::Kind;

constexpr std::size_t kMaxRecords = 1000;

struct RecordList {
  std::string_view section;
  std::string_view one;  // what an element is
  std::array<std::string_view, 2> required;
};
constexpr std::array kLists = {RecordList{"phases", "phase", {"from"}},
                               RecordList{"data.sources", "source", {"name", "files"}}};

// What is no 0, "" or [] where an element does not give it.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kNotGiven = {
    {{"phases.learning_rate", "-1"}, {"data.sources.weight", "1"}}};

const RecordList& list_of(std::string_view section) {
  return *std::find_if(kLists.begin(), kLists.end(),
                       [&](const RecordList& each) { return each.section == section; });
}

bool is_mix(std::string_view field) {
  return find_field(field) != nullptr && find_field(field)->access.type == FieldType::kRealLists;
}

const YamlEntry* find_entry(const YamlNode& map, std::string_view key) {
  const auto at = std::find_if(map.entries.begin(), map.entries.end(),
                               [&](const YamlEntry& entry) { return entry.key == key; });
  return at == map.entries.end() ? nullptr : &*at;
}

class Columns {
 public:
  Columns(const RecordList& list, const std::optional<std::vector<std::string>>& sources,
          Problems& problems)
      : list_(list), sources_(sources), problems_(problems) {}

  void check(const YamlNode& record, std::size_t number) {
    const auto where = fmt::format("{}[{}]", list_.section, number);
    if (!check_map(record, std::string(list_.section), where)) return;
    for (const auto key : list_.required) {
      if (key.empty() || find_entry(record, key) != nullptr) continue;
      problems_.add({"E0108",
                     fmt::format("`{}.{}` is missing", where, key),
                     {record.position},
                     "",
                     std::string(find_field(fmt::format("{}.{}", list_.section, key))->help)});
    }
  }

  // `records` are the values of `section` in every element.
  YamlPointer make(const std::string& section, std::span<const YamlPointer> records,
                   const Position& at) {
    auto columns = std::make_shared<YamlNode>();
    columns->kind = Kind::kMap;
    columns->position = at;
    for (const auto& key : keys_of(section)) {
      const auto name = section + "." + key;
      if (is_mix(name) && !sources_) continue;
      std::vector<YamlPointer> values;
      for (const auto& record : records)
        values.push_back(value_of(name, key, record));
      columns->entries.push_back(
          {key, at, find_field(name) == nullptr ? make(name, values, at) : column(values, at)});
    }
    return columns;
  }

 private:
  bool check_map(const YamlNode& map, const std::string& section, const std::string& where) {
    const auto keys = keys_of(section);
    if (map.kind != Kind::kMap) {
      problems_.add({"E0109",
                     fmt::format("{} must be a mapping of keys", where),
                     {map.position},
                     "",
                     fmt::format("keys: {}", fmt::join(keys, ", "))});
      return false;
    }
    for (const auto& entry : map.entries) {
      const auto name = section + "." + entry.key;
      if (std::find(keys.begin(), keys.end(), entry.key) == keys.end())
        unknown(entry, keys, fmt::format("not a key of a {}", list_.one), "keys here");
      else if (find_field(name) == nullptr && entry.value->kind != Kind::kNull)
        check_map(*entry.value, name, fmt::format("{}.{}", where, entry.key));
      else if (is_mix(name) && entry.value->kind == Kind::kMap && sources_)
        check_mix(*entry.value);
    }
    return true;
  }

  void check_mix(const YamlNode& mix) {
    for (const auto& entry : mix.entries) {
      if (std::find(sources_->begin(), sources_->end(), entry.key) == sources_->end())
        unknown(entry, *sources_, "no name in data.sources", "sources");
    }
  }

  void unknown(const YamlEntry& entry, const std::vector<std::string>& keys, std::string note,
               std::string_view what) {
    if (is_secret_name(entry.key)) return problems_.add(secret_key(entry.key, entry.position));
    const auto near = nearest(entry.key, keys);
    problems_.add(
        {"E0107",
         fmt::format("unknown key `{}`", shortened(entry.key)),
         {entry.position},
         std::move(note),
         fmt::format("{}{}: {}", near.empty() ? "" : fmt::format("did you mean `{}`?   ", near),
                     what, keys.empty() ? "none" : fmt::format("{}", fmt::join(keys, ", ")))});
  }

  // Of a field or a section in one element.
  YamlPointer value_of(const std::string& name, const std::string& key,
                       const YamlPointer& record) const {
    const auto* entry = record->kind == Kind::kMap ? find_entry(*record, key) : nullptr;
    if (entry != nullptr && is_mix(name) && entry->value->kind == Kind::kMap)
      return in_order(*entry->value);
    auto value = std::make_shared<YamlNode>();
    value->position = record->position;
    if (entry != nullptr) *value = *entry->value;
    if (entry != nullptr && value->kind == Kind::kNull) value->position = entry->position;
    if (entry == nullptr) leave_out(name, *value);
    return value;
  }

  static void leave_out(const std::string& name, YamlNode& value) {
    const auto* field = find_field(name);
    if (field == nullptr) return;  // a section: its fields are left out
    const auto type = element_type(field->access.type);
    value.kind = is_list(type) ? Kind::kList : Kind::kScalar;
    const auto* other = std::find_if(kNotGiven.begin(), kNotGiven.end(),
                                     [&](const auto& each) { return each.first == name; });
    if (other != kNotGiven.end())
      value.text = other->second;
    else if (type == FieldType::kInteger || type == FieldType::kReal)
      value.text = "0";
  }

  YamlPointer in_order(const YamlNode& mix) const {
    auto list = std::make_shared<YamlNode>();
    list->kind = Kind::kList;
    list->position = mix.position;
    for (const auto& source : *sources_) {
      const auto* entry = find_entry(mix, source);
      auto value = std::make_shared<YamlNode>();
      value->kind = Kind::kScalar;
      value->text = "0";
      value->position = mix.position;
      if (entry != nullptr) *value = *entry->value;
      list->items.push_back(std::move(value));
    }
    return list;
  }

  static YamlPointer column(std::span<const YamlPointer> values, const Position& at) {
    auto made = std::make_shared<YamlNode>();
    made->kind = Kind::kList;
    made->position = at;
    made->items.assign(values.begin(), values.end());
    return made;
  }

  const RecordList& list_;
  const std::optional<std::vector<std::string>>& sources_;
  Problems& problems_;
};

}  // namespace

bool is_record_list(std::string_view section) noexcept {
  return std::any_of(kLists.begin(), kLists.end(),
                     [&](const RecordList& each) { return each.section == section; });
}

std::optional<std::vector<std::string>> written_source_names(const YamlNode& root) {
  const auto* data = find_entry(root, "data");
  const auto* sources = data == nullptr ? nullptr : find_entry(*data->value, "sources");
  std::vector<std::string> names;
  if (sources == nullptr) return names;
  std::vector<YamlPointer> written;
  if (const auto* columns = find_entry(*sources->value, "name")) written = columns->value->items;
  for (const auto& source : sources->value->items) {
    const auto* name = find_entry(*source, "name");
    written.push_back(name == nullptr ? nullptr : name->value);
  }
  for (const auto& name : written) {
    if (name == nullptr || name->kind != Kind::kScalar) return std::nullopt;
    names.push_back(name->text);
  }
  return names;
}

YamlPointer record_columns(const std::string& section, const YamlNode& list,
                           const std::optional<std::vector<std::string>>& sources,
                           Problems& problems) {
  const auto before = problems.size();
  if (list.items.size() > kMaxRecords)
    problems.add({"E0104",
                  fmt::format("more than {} {}s", kMaxRecords, list_of(section).one),
                  {list.position},
                  "",
                  ""});
  Columns columns(list_of(section), sources, problems);
  for (std::size_t i = 0; i < std::min(list.items.size(), kMaxRecords); ++i)
    columns.check(*list.items[i], i);
  if (problems.size() != before || problems.full()) return nullptr;
  return columns.make(section, list.items, list.position);
}

}  // namespace fulgur
