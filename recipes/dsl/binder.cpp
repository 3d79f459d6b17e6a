#include "recipes/dsl/binder.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "recipes/dsl/scalar.hpp"
#include "recipes/dsl/suggest.hpp"

namespace fulgur {
namespace {

using Kind = YamlNode::Kind;

constexpr std::size_t kLongestArgument = 240;

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
    case FieldType::kTexts:
      return "a list of texts";
  }
  return "a value";
}

std::string_view type_help(FieldType type, const YamlNode& node) {
  const bool number = type == FieldType::kInteger || type == FieldType::kReal;
  const bool list = type == FieldType::kIntegers || type == FieldType::kTexts;
  if (number && node.quoted) return "take the quotes off";
  if (list && node.kind == Kind::kScalar) return "put it in brackets: [ ]";
  if (type == FieldType::kText && node.kind == Kind::kNull) return "write \"\" for an empty text";
  return "";
}

// The same value, every part of it at one position.
YamlPointer placed(const YamlNode& node, const Position& at) {
  auto copy = std::make_shared<YamlNode>(node);
  copy->position = at;
  for (auto& item : copy->items)
    item = placed(*item, at);
  for (auto& entry : copy->entries) {
    entry.position = at;
    entry.value = placed(*entry.value, at);
  }
  return copy;
}

YamlPointer make_node(Kind kind, std::string text, std::vector<YamlPointer> items,
                      const Position& at) {
  return std::make_shared<YamlNode>(
      YamlNode{.kind = kind, .text = std::move(text), .items = std::move(items), .position = at});
}

// An override's value: lists and mappings in brackets as YAML, everything else as it is, so that the
// shell's quotes are the only ones. A single text will do for a list of texts.
YamlPointer override_value(const Field* field, const std::string& value, const Position& at) {
  const auto type = field != nullptr ? field->access.type : FieldType::kText;
  const bool bracket = value.starts_with('[') || value.starts_with('{');
  if (bracket && (field == nullptr || type != FieldType::kText)) {
    try {
      return placed(*parse_yaml(value, kCommandLine), at);
    } catch (const RecipeError& error) {
      auto diagnostics = error.diagnostics();
      for (auto& diagnostic : diagnostics)
        diagnostic.positions = {at};
      throw RecipeError(std::move(diagnostics));
    }
  }
  auto scalar = make_node(Kind::kScalar, value, {}, at);
  return type == FieldType::kTexts ? make_node(Kind::kList, "", {scalar}, at) : scalar;
}

}  // namespace

Binder::Binder(Position start) : start_(std::move(start)) {}

void Binder::collect(const YamlNode& root) {
  collect_entries("", root);
}

void Binder::collect_override(const std::string& argument) {
  const Position at{.source = std::string(kCommandLine),
                    .text = shortened(argument, kLongestArgument)};
  const auto equals = argument.find('=');
  const auto name = argument.substr(0, equals);
  if (equals == std::string::npos || name.empty())
    return report("E0113", fmt::format("`{}` is not of the form field=value", shortened(argument)),
                  at, "");
  const auto* field = find_field(name);
  if (field == nullptr && !is_section(name)) return report_unknown_key(name, at);
  try {
    collect_at(name, override_value(field, argument.substr(equals + 1), at), at);
  } catch (const RecipeError& error) {
    problems_.insert(problems_.end(), error.diagnostics().begin(), error.diagnostics().end());
  }
}

void Binder::collect_entries(const std::string& section, const YamlNode& map) {
  for (const auto& entry : map.entries) {
    const auto name = section.empty() ? entry.key : section + "." + entry.key;
    if (const auto dot = entry.key.rfind('.');
        dot != std::string::npos && find_field(name) != nullptr) {
      report("E0107", fmt::format("unknown key `{}`", shortened(entry.key)), entry.position,
             fmt::format("write `{}` below `{}`", entry.key.substr(dot + 1),
                         entry.key.substr(0, dot)));
      unknown_.emplace(name);
    } else if (dot != std::string::npos || (find_field(name) == nullptr && !is_section(name))) {
      report_unknown_key(name, entry.position);
    } else {
      collect_at(name, entry.value, entry.position);
    }
  }
}

void Binder::collect_at(const std::string& name, const YamlPointer& node, const Position& at) {
  if (find_field(name) != nullptr) {
    values_.insert_or_assign(name, node);
    positions_.insert_or_assign(name, node->kind == Kind::kNull ? at : node->position);
    for (std::size_t i = 0; i < node->items.size(); ++i)
      positions_.insert_or_assign(fmt::format("{}[{}]", name, i), node->items[i]->position);
    return;
  }
  positions_.insert_or_assign(name, at);
  if (node->kind == Kind::kMap) return collect_entries(name, *node);
  if (node->kind == Kind::kNull) return;  // a section with nothing in it
  report("E0109", fmt::format("`{}` must be a mapping of keys, not {}", name, describe(*node)),
         node->position, fmt::format("keys: {}", fmt::join(keys_of(name), ", ")));
}

void Binder::report(const char* code, std::string message, const Position& at, std::string help) {
  problems_.push_back({code, std::move(message), {at}, "", std::move(help)});
}

void Binder::report_unknown_key(const std::string& name, const Position& at) {
  auto dot = name.rfind('.');
  while (dot != std::string::npos && !is_section(name.substr(0, dot)))
    dot = dot == 0 ? std::string::npos : name.rfind('.', dot - 1);
  const auto section = dot == std::string::npos ? "" : name.substr(0, dot);
  const auto key = dot == std::string::npos ? name : name.substr(dot + 1);
  const auto where = section.empty() ? "a recipe" : fmt::format("`{}`", section);
  problems_.push_back({"E0107",
                       fmt::format("unknown key `{}`", shortened(key)),
                       {at},
                       "not a key of " + where,
                       suggest_key(section, key)});
  // What was meant is not missing, too.
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

void Binder::bind() {
  for (const auto& field : fields()) {
    const auto value = values_.find(field.name);
    if (value == values_.end()) {
      bind_left_out(field);
    } else {
      bind_given(field, *value->second);
    }
  }
}

void Binder::bind_given(const Field& field, const YamlNode& node) {
  const auto value = convert(field, node);
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
           node.position, "");
    unknown_.emplace(field.name);
  }
}

void Binder::bind_left_out(const Field& field) {
  if (field.presence == Presence::kDefault) return;
  if (is_unknown(field.name)) {
    unknown_.emplace(field.name);
    return;
  }
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
    problems_.push_back(std::move(problem));
    unknown_.emplace(field.name);
  }
}

std::optional<FieldValue> Binder::convert(const Field& field, const YamlNode& node) {
  const auto type = field.access.type;
  if (type == FieldType::kIntegers || type == FieldType::kTexts) return convert_list(field, node);
  return convert_scalar(field, type, node);
}

std::optional<FieldValue> Binder::convert_scalar(const Field& field, FieldType type,
                                                 const YamlNode& node) {
  const bool number = type == FieldType::kInteger || type == FieldType::kReal;
  if (node.kind != Kind::kScalar || (number && node.quoted)) {
    report("E0109",
           fmt::format("`{}` must be {}, not {}", field.name, wanted(type), describe(node)),
           node.position, std::string(type_help(type, node)));
    return std::nullopt;
  }
  const auto taken = [&](const auto& parsed) -> std::optional<FieldValue> {
    if (const auto* error = std::get_if<ScalarError>(&parsed)) {
      problems_.push_back({error->code,
                           fmt::format("`{}` {}", field.name, error->message),
                           {node.position},
                           "",
                           error->help});
      return std::nullopt;
    }
    return FieldValue(std::get<0>(parsed));
  };
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

std::optional<FieldValue> Binder::convert_list(const Field& field, const YamlNode& node) {
  const auto type = field.access.type;
  if (node.kind != Kind::kList) {
    report("E0109",
           fmt::format("`{}` must be {}, not {}", field.name, wanted(type), describe(node)),
           node.position, std::string(type_help(type, node)));
    return std::nullopt;
  }
  std::vector<std::int64_t> numbers;
  std::vector<std::string> texts;
  bool good = true;
  for (const auto& item : node.items) {
    const bool integers = type == FieldType::kIntegers;
    const auto value =
        convert_scalar(field, integers ? FieldType::kInteger : FieldType::kText, *item);
    good = good && value.has_value();
    if (!value) continue;
    if (integers)
      numbers.push_back(std::get<std::int64_t>(*value));
    else
      texts.push_back(std::get<std::string>(*value));
  }
  if (!good) return std::nullopt;
  return type == FieldType::kIntegers ? FieldValue(std::move(numbers))
                                      : FieldValue(std::move(texts));
}

}  // namespace fulgur
