#include "recipes/dsl/binder.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "recipes/dsl/record_list.hpp"
#include "recipes/dsl/scalar.hpp"
#include "recipes/dsl/secrets.hpp"
#include "recipes/dsl/suggest.hpp"

namespace fulgur {
namespace {

using Kind = YamlNode::Kind;

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "left empty";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a mapping";
    case Kind::kScalar:
      break;
  }
  return fmt::format("{}{}`", node.quoted ? "the text `" : "`", shortened(node.text));
}

std::string_view wanted(FieldType type) {
  switch (type) {
    case FieldType::kInteger:
      return "an integer";
    case FieldType::kReal:
      return "a number";
    case FieldType::kText:
    case FieldType::kChoice:
      return "a text";
    case FieldType::kIntegers:
      return "a list of integers";
    case FieldType::kReals:
      return "a list of numbers";
    case FieldType::kTexts:
      return "a list of texts";
    case FieldType::kRealLists:
      return "a list of lists of numbers";
    case FieldType::kTextLists:
      return "a list of lists of texts";
  }
  return "a value";
}

std::string_view type_help(FieldType type, const YamlNode& node) {
  const bool number = type == FieldType::kInteger || type == FieldType::kReal;
  const bool list = is_list(type);
  if (number && node.quoted) return "take the quotes off";
  if (list && node.kind == Kind::kScalar) return "put it in brackets: [ ]";
  if (type == FieldType::kText && node.kind == Kind::kNull) return "write \"\" for an empty text";
  return "";
}

// As it is written, cut short.
std::string written(const YamlNode& node) {
  constexpr std::size_t kMost = 80;
  std::string text;
  switch (node.kind) {
    case Kind::kNull:
      return "~";
    case Kind::kScalar:
      return shortened(node.text, kMost);
    case Kind::kList:
      for (const auto& item : node.items) {
        text += (text.empty() ? "" : ", ") + written(*item);
        if (text.size() > kMost) break;
      }
      return "[" + shortened(text, kMost) + "]";
    case Kind::kMap:
      break;
  }
  return "{...}";
}

}  // namespace

Binder::Binder(Position start)
    : start_(std::move(start)),
      expander_([this](const Field& field) { return value_of(field); }, problems_) {}

Provenance Binder::provenance() const {
  Provenance made{positions_, expander_.references(), {}};
  made.positions.insert(expander_.variables().begin(), expander_.variables().end());
  for (const auto& [name, value] : values_) {
    auto& settings = made.settings[name];
    for (const auto* node = value.get(); node != nullptr; node = node->replaced.get())
      settings.push_back({node->position, written(*node)});
  }
  return made;
}

void Binder::collect_entries(const std::string& section, const YamlNode& map) {
  for (const auto& entry : map.entries) {
    if (problems_.full()) return;
    if (section.empty() && entry.key == "vars")
      expander_.collect_variables(*entry.value, entry.position);
    else if (section.empty() && entry.key == "sweep")
      sweep_ = read_sweep_section(*entry.value, problems_);
    else
      collect_entry(section, entry);
  }
}

void Binder::collect_entry(const std::string& section, const YamlEntry& entry) {
  const auto name = section.empty() ? entry.key : section + "." + entry.key;
  const auto dot = entry.key.rfind('.');
  if (is_secret_name(entry.key)) {
    problems_.add(secret_key(entry.key, entry.position));
  } else if (dot != std::string::npos && find_field(name) != nullptr) {
    report(
        "E0107", fmt::format("unknown key `{}`", shortened(entry.key)), entry.position,
        fmt::format("write `{}` below `{}`", entry.key.substr(dot + 1), entry.key.substr(0, dot)));
    unknown_.emplace(name);
  } else if (entry.key.empty() || dot != std::string::npos ||
             (find_field(name) == nullptr && !is_section(name))) {
    report_unknown_key(name, entry.position);
  } else {
    collect_at(name, entry.value, entry.position);
  }
}

void Binder::collect_at(const std::string& name, const YamlPointer& node, const Position& at) {
  if (find_field(name) != nullptr) {
    values_.insert_or_assign(name, node);
    positions_.insert_or_assign(name, node->kind == Kind::kNull ? at : node->position);
    if (node->items.size() > kMaxListItems) return;  // refused where it is converted
    for (std::size_t i = 0; i < node->items.size(); ++i) {
      const auto& item = *node->items[i];
      const auto item_name = fmt::format("{}[{}]", name, i);
      positions_.insert_or_assign(item_name, item.position);
      for (std::size_t j = 0; j < std::min(item.items.size(), kMaxListItems); ++j)
        positions_.insert_or_assign(fmt::format("{}[{}]", item_name, j), item.items[j]->position);
    }
    return;
  }
  positions_.insert_or_assign(name, at);
  if (is_record_list(name) && node->kind == Kind::kList) {
    const auto columns = record_columns(name, *node, source_names_, problems_);
    if (columns != nullptr) {
      if (!source_names_) leave_out_mixes();
      return collect_entries(name, *columns);
    }
    unknown_.insert(name);
    return;
  }
  if (node->kind == Kind::kMap) return collect_entries(name, *node);
  if (node->kind == Kind::kNull) return;  // a section with nothing in it
  unknown_.insert(name);
  report(
      "E0109",
      fmt::format("`{}` must be a {}, not {}", name,
                  is_record_list(name) ? "list of mappings" : "mapping of keys", describe(*node)),
      node->position, fmt::format("keys: {}", fmt::join(keys_of(name), ", ")));
}

void Binder::report(const char* code, std::string message, const Position& at, std::string help) {
  problems_.add({code, std::move(message), {at}, "", std::move(help)});
}

void Binder::report_unknown_key(const std::string& name, const Position& at) {
  problems_.add(unknown_key(name, at));
  // What was meant is not missing, too.
  const auto section = section_of(name);
  const auto key = section.empty() ? name : name.substr(section.size() + 1);
  if (const auto meant = nearest(key, keys_of(section)); !meant.empty())
    unknown_.insert(section.empty() ? meant : section + "." + meant);
}

bool Binder::is_unknown(std::string_view name) const {
  for (auto end = name.find('.');; end = name.find('.', end + 1)) {
    if (unknown_.contains(name.substr(0, end))) return true;
    if (end == std::string_view::npos) return false;
  }
}

Position Binder::section_position(std::string_view name) const {
  for (auto dot = name.rfind('.'); dot != std::string_view::npos; dot = name.rfind('.')) {
    name = name.substr(0, dot);
    const auto at = positions_.find(name);
    if (at != positions_.end()) return at->second;
  }
  return start_;
}

// Where the names of the sources are wrong, nothing is said about mixes.
void Binder::leave_out_mixes() {
  for (const auto& field : fields()) {
    if (field.access.type == FieldType::kRealLists) unknown_.emplace(field.name);
  }
}

void Binder::bind(const YamlNode& root) {
  source_names_ = written_source_names(root);
  collect_entries("", root);
  for (const auto& field : fields())
    bind_field(field);
  expander_.report_unused_variables(root);
}

// Binds the fields that it needs before it.
void Binder::bind_field(const Field& field) {
  if (bound_.contains(field.name)) return;
  const std::string name(field.name);
  const auto at = positions_.find(name);
  const auto entry = expander_.enter(name, at != positions_.end() ? at->second : Position{});
  const auto value = values_.find(name);
  if (value == values_.end())
    bind_left_out(field);
  else
    bind_given(field, value->second);
  bound_.insert(name);
}

ExpressionValue Binder::value_of(const Field& field) {
  bind_field(field);
  if (unknown_.contains(field.name)) throw Expander::Unknown{};
  const auto value = field.access.get(job_);
  const auto unit = field.unit == Unit::kCount ? Unit::kNone : field.unit;
  if (const auto* integer = std::get_if<std::int64_t>(&value))
    return Quantity{static_cast<double>(*integer), unit};
  if (const auto* real = std::get_if<double>(&value)) return Quantity{*real, unit};
  return std::get<std::string>(value);
}

void Binder::bind_given(const Field& field, const YamlPointer& node) {
  const auto value = convert(field, field.access.type, node);
  if (!value) {
    unknown_.emplace(field.name);
    return;
  }
  try {
    field.access.set(job_, *value);
  } catch (const std::invalid_argument&) {
    report("E0111",
           fmt::format("{} = {}: it must be {}", field.name, to_string(*value),
                       to_string(field.range)),
           node->position, "");
    unknown_.emplace(field.name);
  }
}

void Binder::bind_left_out(const Field& field) {
  if (is_unknown(field.name)) {
    unknown_.emplace(field.name);
    return;
  }
  if (field.presence == Presence::kDefault) return;
  if (field.presence == Presence::kRequired) {
    report("E0108", fmt::format("`{}` is missing", field.name), section_position(field.name),
           std::string(field.help));
    unknown_.emplace(field.name);
    return;
  }
  Diagnostic problem{"E0206", "", {}, "", ""};
  for (const auto input : field.inputs) {
    const auto* read = find_field(input);
    if (read == nullptr) continue;
    bind_field(*read);
    if (unknown_.contains(input) || !range_violations(*read, job_).empty()) {
      unknown_.emplace(field.name);
      return;
    }
    if (const auto at = positions_.find(input); at != positions_.end())
      problem.positions.push_back(at->second);
  }
  try {
    field.derive(job_);
  } catch (const std::invalid_argument& error) {
    problem.message = error.what();
    problems_.add(std::move(problem));
    unknown_.emplace(field.name);
  }
}

std::optional<FieldValue> Binder::convert(const Field& field, FieldType type,
                                          const YamlPointer& node) {
  if (is_list(type)) return convert_list(field, type, *node);
  return convert_scalar(field, type, node);
}

std::optional<FieldValue> Binder::convert_scalar(const Field& field, FieldType type,
                                                 const YamlPointer& written_node) {
  const bool number = type == FieldType::kInteger || type == FieldType::kReal;
  const auto expanded = expander_.expanded(std::string(field.name), written_node, number);
  if (expanded == nullptr) return std::nullopt;
  const auto& node = *expanded;
  if (node.kind != Kind::kScalar || (number && node.quoted)) {
    report("E0109",
           fmt::format("`{}` must be {}, not {}", field.name, wanted(type), describe(node)),
           node.position, std::string(type_help(type, node)));
    return std::nullopt;
  }
  const auto taken = [&](const auto& parsed) -> std::optional<FieldValue> {
    if (const auto* error = std::get_if<ScalarError>(&parsed)) {
      problems_.add({error->code,
                     fmt::format("`{}` {}", field.name, error->message),
                     {node.position},
                     "",
                     error->help});
      return std::nullopt;
    }
    return FieldValue(std::get<0>(parsed));
  };
  if (type == FieldType::kInteger && !field.zero_word.empty() && node.text == field.zero_word)
    return FieldValue(std::int64_t{0});
  if (type == FieldType::kInteger) return taken(parse_integer(node.text, field.unit));
  if (type == FieldType::kReal) return taken(parse_real(node.text, field.unit));
  if (type == FieldType::kText) return node.text;
  const auto& choices = field.access.choices;
  if (std::find(choices.begin(), choices.end(), node.text) != choices.end()) return node.text;
  const std::vector<std::string> names(choices.begin(), choices.end());
  const auto near = nearest(node.text, names);
  report("E0112",
         fmt::format("`{}` must be one of {}, not `{}`", field.name, fmt::join(names, ", "),
                     shortened(node.text)),
         node.position, near.empty() ? "" : fmt::format("did you mean `{}`?", near));
  return std::nullopt;
}

std::optional<FieldValue> Binder::convert_list(const Field& field, FieldType type,
                                               const YamlNode& node) {
  if (node.kind != Kind::kList) {
    report("E0109",
           fmt::format("`{}` must be {}, not {}", field.name, wanted(type), describe(node)),
           node.position, std::string(type_help(type, node)));
    return std::nullopt;
  }
  if (node.items.size() > kMaxListItems) {
    report("E0104",
           fmt::format("`{}` has {} elements: at most {}", field.name, node.items.size(),
                       kMaxListItems),
           node.position, "");
    return std::nullopt;
  }
  switch (type) {
    case FieldType::kIntegers:
      return convert_items<std::int64_t>(field, type, node);
    case FieldType::kReals:
      return convert_items<double>(field, type, node);
    case FieldType::kRealLists:
      return convert_items<std::vector<double>>(field, type, node);
    case FieldType::kTextLists:
      return convert_items<std::vector<std::string>>(field, type, node);
    default:
      return convert_items<std::string>(field, type, node);
  }
}

template <class T>
std::optional<FieldValue> Binder::convert_items(const Field& field, FieldType type,
                                                const YamlNode& node) {
  std::vector<T> values;
  for (const auto& item : node.items) {
    if (problems_.full()) return std::nullopt;
    auto value = convert(field, element_type(type), item);
    if (value) values.push_back(std::get<T>(*std::move(value)));
  }
  if (values.size() != node.items.size()) return std::nullopt;
  return FieldValue(std::move(values));
}

}  // namespace fulgur
