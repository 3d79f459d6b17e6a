#include "recipes/dsl/overrides.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "recipes/dsl/layers.hpp"
#include "recipes/dsl/record_list.hpp"
#include "recipes/dsl/suggest.hpp"
#include "recipes/fields.hpp"

namespace fulgur {
namespace {

using Kind = YamlNode::Kind;

constexpr std::size_t kLongestArgument = 240;

enum class Action { kSet, kAdd, kRemove };

struct Override {
  Action action = Action::kSet;
  std::string name;
  std::string value;
  bool has_value = false;
  Position position;
};

[[noreturn]] void refuse(const char* code, std::string message, std::vector<Position> positions,
                         std::string help = "") {
  throw RecipeError({{code, std::move(message), std::move(positions), "", std::move(help)}});
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

Override parsed(const std::string& argument) {
  Override result;
  result.position = {.source = std::string(kCommandLine),
                     .text = shortened(argument, kLongestArgument)};
  std::string_view rest = argument;
  if (rest.starts_with("++")) {
    rest.remove_prefix(2);
  } else if (rest.starts_with('+') || rest.starts_with('~')) {
    result.action = rest.front() == '+' ? Action::kAdd : Action::kRemove;
    rest.remove_prefix(1);
  }
  const auto equals = rest.find('=');
  result.name = rest.substr(0, equals);
  result.has_value = equals != std::string_view::npos;
  if (result.has_value) result.value = rest.substr(equals + 1);
  const bool complete = result.has_value || result.action == Action::kRemove;
  if (result.name.empty() || !complete) {
    refuse("E0113", fmt::format("`{}` is not of the form field=value", shortened(argument)),
           {result.position}, "also +field=value, ++field=value and ~field");
  }
  return result;
}

bool is_variable(std::string_view name) {
  return name.starts_with("vars.") && name.find('.', 5) == std::string_view::npos;
}

void check_name(const Override& each) {
  if (each.name == "extends")
    refuse("E0113", "a recipe cannot be extended from the command line", {each.position},
           "write a recipe that extends both");
  if (each.name == "vars" || is_variable(each.name)) return;
  if (each.name == "sweep" || each.name.starts_with("sweep.")) return;  // sweep_section.hpp looks
  if (find_field(each.name) == nullptr && !is_section(each.name))
    throw RecipeError({unknown_key(each.name, each.position)});
}

YamlPointer value_of(const Override& each) {
  const auto* field = find_field(each.name);
  const auto type = field != nullptr ? field->access.type : FieldType::kText;
  const bool bracket = each.value.starts_with('[') || each.value.starts_with('{');
  if (bracket && (field == nullptr || type != FieldType::kText)) {
    try {
      return placed(*parse_yaml(each.value, kCommandLine), each.position);
    } catch (const RecipeError& error) {
      auto diagnostics = error.diagnostics();
      for (auto& diagnostic : diagnostics)
        diagnostic.positions = {each.position};
      throw RecipeError(std::move(diagnostics));
    }
  }
  auto scalar = make_node(Kind::kScalar, each.value, {}, each.position);
  return type == FieldType::kTexts ? make_node(Kind::kList, "", {scalar}, each.position) : scalar;
}

// A value below mappings for all parts of its name.
YamlPointer layer(std::string_view name, YamlPointer node, const Position& position) {
  while (!name.empty()) {
    const auto dot = name.rfind('.');
    auto map = std::make_shared<YamlNode>();
    map->kind = Kind::kMap;
    map->position = position;
    map->entries.push_back({std::string(name.substr(dot + 1)), position, std::move(node)});
    node = std::move(map);
    name = dot == std::string_view::npos ? "" : name.substr(0, dot);
  }
  return node;
}

// Where the name lies in a section that is written as a list of mappings, that section with its fields as
// lists, so that one of them can be set.
YamlPointer with_columns(const YamlPointer& root, const Override& each) {
  std::string_view section = each.name;
  while (!section.empty() && !is_record_list(section))
    section =
        section.substr(0, section.find('.') == std::string_view::npos ? 0 : section.rfind('.'));
  const auto list = section.empty() || section == each.name ? nullptr : find_value(root, section);
  if (list == nullptr || list->kind != Kind::kList) return root;
  Problems problems;
  const auto columns =
      record_columns(std::string(section), *list, written_source_names(*root), problems);
  if (columns == nullptr) throw RecipeError(problems.take());
  return merged(root, layer(section, columns, list->position));
}

YamlPointer applied(const YamlPointer& written, const std::string& argument) {
  const auto each = parsed(argument);
  check_name(each);
  const auto root = each.action == Action::kRemove ? written : with_columns(written, each);
  const auto there = find_value(root, each.name);
  if (each.action != Action::kRemove && is_section(each.name) && !each.value.starts_with('{') &&
      !(is_record_list(each.name) && each.value.starts_with('[')))
    refuse(
        "E0109",
        fmt::format("`{}` must be a mapping of keys, not `{}`", each.name, shortened(each.value)),
        {each.position}, fmt::format("as in {}={{key: value}}", each.name));
  if (each.action == Action::kAdd && there != nullptr)
    refuse("E0123", fmt::format("the recipe gives `{}` already", each.name),
           {each.position, there->position}, fmt::format("{}=... replaces it", each.name));
  if (each.action != Action::kRemove)
    return merged(root, layer(each.name, value_of(each), each.position));
  if (there == nullptr)
    refuse("E0123", fmt::format("the recipe does not give `{}`", each.name), {each.position},
           "~ takes away what a recipe gives");
  if (each.has_value && (there->kind != Kind::kScalar || there->text != each.value)) {
    refuse("E0123", fmt::format("`{}` is not `{}` in the recipe", each.name, shortened(each.value)),
           {each.position, there->position},
           fmt::format("~{} takes it away in any case", each.name));
  }
  return without_value(root, each.name);
}

}  // namespace

YamlPointer overridden(YamlPointer root, const std::vector<std::string>& arguments,
                       Problems& problems) {
  for (const auto& argument : arguments) {
    try {
      root = applied(root, argument);
    } catch (const RecipeError& error) {
      for (const auto& problem : error.diagnostics())
        problems.add(problem);
    }
  }
  return root;
}

}  // namespace fulgur
