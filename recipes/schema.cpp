#include "recipes/schema.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "recipes/canonical.hpp"
#include "recipes/dsl/sweep_section.hpp"
#include "recipes/fields.hpp"
#include "recipes/reference.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

constexpr std::string_view kExpression = "[$][{]";

std::string number_pattern(Unit unit) {
  const std::string multiple = "[kKMGT]|[KMGT]i";
  std::string suffix;
  switch (unit) {
    case Unit::kNone:
      break;
    case Unit::kCount:
      suffix = fmt::format(" *({})?", multiple);
      break;
    case Unit::kTokens:
      suffix = fmt::format(" *({})?( *tokens?)?", multiple);
      break;
    case Unit::kBytes:
      suffix = fmt::format(" *({}|[kKMGT]?B|[KMGT]iB)?", multiple);
      break;
    case Unit::kSeconds:
      suffix = " *(ms|s|min|h|d)?";
      break;
  }
  return fmt::format("^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?{}$", suffix);
}

json::object pattern(std::string_view expression) {
  return {{"type", "string"}, {"pattern", expression}};
}

json::object number_schema(const Field& field, bool integer) {
  json::object plain = {{"type", integer ? "integer" : "number"}};
  if (field.range.min != Range{}.min)
    plain[field.range.open_min ? "exclusiveMinimum" : "minimum"] = field.range.min;
  if (field.range.max != Range{}.max)
    plain[field.range.open_max ? "exclusiveMaximum" : "maximum"] = field.range.max;
  json::array forms{plain, pattern(number_pattern(field.unit)), pattern(kExpression)};
  if (!field.zero_word.empty())
    forms.push_back(json::object{{"const", json::string(field.zero_word)}});
  return {{"anyOf", std::move(forms)}};
}

// YAML reads `name: 5` as a number; as a text it is "5".
json::object text_schema() {
  return {{"type", {"string", "number", "boolean"}}};
}

json::object list_of(json::object items) {
  return {{"type", "array"}, {"items", std::move(items)}, {"maxItems", 10000}};
}

json::object type_schema(const Field& field) {
  switch (field.access.type) {
    case FieldType::kInteger:
      return number_schema(field, true);
    case FieldType::kReal:
      return number_schema(field, false);
    case FieldType::kText:
      return text_schema();
    case FieldType::kChoice: {
      json::array choices;
      for (const auto choice : field.access.choices)
        choices.emplace_back(choice);
      return {{"anyOf", {json::object{{"enum", std::move(choices)}}, pattern(kExpression)}}};
    }
    case FieldType::kIntegers:
      return list_of(number_schema(field, true));
    case FieldType::kReals:
      return list_of(number_schema(field, false));
    case FieldType::kTexts:
      return list_of(text_schema());
    case FieldType::kRealLists:
      return list_of(list_of(number_schema(field, false)));
    case FieldType::kTextLists:
      return list_of(list_of(text_schema()));
  }
  return {};
}

json::object field_schema(const Field& field) {
  auto made = type_schema(field);
  std::string about(field.help);
  if (field.presence != Presence::kRequired)
    about += fmt::format(" Default: {}.", default_text(field));
  about += fmt::format(" Resume: {}.", resume_text(field.category));
  made["description"] = about;
  return made;
}

struct Section {
  json::object properties;
  json::array required;
  json::object required_below;  // sections with required fields
};

// What lies below `name`, a section or the whole recipe ("").
Section section(const std::string& name) {
  Section made;
  for (const auto& key : keys_of(name)) {
    const auto full = name.empty() ? key : fmt::format("{}.{}", name, key);
    if (const auto* field = find_field(full)) {
      made.properties[key] = field_schema(*field);
      if (field->presence == Presence::kRequired) made.required.emplace_back(key);
      continue;
    }
    auto below = section(full);
    made.properties[key] = {{"type", {"object", "null"}},
                            {"properties", std::move(below.properties)},
                            {"additionalProperties", false}};
    if (below.required.empty() && below.required_below.empty()) continue;
    made.required.emplace_back(key);
    made.required_below[key] = {{"type", "object"},
                                {"required", std::move(below.required)},
                                {"properties", std::move(below.required_below)}};
  }
  return made;
}

// Weights of sources by their names.
json::object by_name(json::object numbers) {
  return {{"type", "object"}, {"additionalProperties", std::move(numbers)}};
}

// An element of a list of mappings, whose fields are `columns` as lists.
json::object record_schema(const std::string& section, const json::object& columns) {
  json::object record;
  for (const auto& [key, column] : columns) {
    const auto name = fmt::format("{}.{}", section, std::string_view(key));
    const auto* field = find_field(name);
    if (field == nullptr) {
      record[key] = {{"type", {"object", "null"}},
                     {"properties", record_schema(name, column.at("properties").as_object())},
                     {"additionalProperties", false}};
      continue;
    }
    const auto& items = column.at("items").as_object();
    record[key] = items;
    if (field->access.type == FieldType::kRealLists)
      record[key] = {{"anyOf", {items, by_name(items.at("items").as_object())}}};
    record[key].as_object()["description"] = column.at("description");
  }
  return record;
}

// A list of mappings, or the lists of their values.
void add_records(const std::string& section, json::array required, json::value& columns) {
  auto& schema = columns.as_object();
  schema["type"] = {"object", "null", "array"};
  schema["items"] = {{"type", "object"},
                     {"properties", record_schema(section, schema["properties"].as_object())},
                     {"required", std::move(required)},
                     {"additionalProperties", false}};
}

}  // namespace

namespace {

json::object number_from(double least) {
  return {{"anyOf",
           {json::object{{"type", "number"}, {"minimum", least}},
            pattern(number_pattern(Unit::kCount))}}};
}

json::object sweep_schema() {
  json::array names;
  for (const auto& field : fields())
    names.emplace_back(field.name);
  const json::object of_fields = {{"enum", std::move(names)}};
  const json::object values = {
      {"type", "object"},
      {"propertyNames", of_fields},
      {"additionalProperties", json::object{{"type", "array"}, {"minItems", 1}}}};
  const json::object excluded = {
      {"type", "object"}, {"propertyNames", of_fields}, {"minProperties", 1}};
  const json::object condition = {{"type", {"string", "boolean"}}};
  json::object properties = {
      {"axes", values},
      {"zip", {{"anyOf", {values, json::object{{"type", "array"}, {"items", values}}}}}},
      {"layout", {{"const", "auto"}}},
      {"exclude", {{"type", "array"}, {"items", excluded}}},
      {"where", {{"anyOf", {condition, json::object{{"type", "array"}, {"items", condition}}}}}},
      {"steps", number_from(1)},
      {"warmup", number_from(0)},
      {"best", number_from(1)},
      {"slower", number_from(1)}};
  for (const auto& key : sweep_keys())
    properties[key.name].as_object()["description"] = key.help;
  return {{"description", "What `fulgur sweep` tries."},
          {"type", {"object", "null"}},
          {"properties", std::move(properties)},
          {"additionalProperties", false}};
}

}  // namespace

std::string recipe_schema() {
  auto whole = section("");
  add_records("phases", {"from"}, whole.properties["phases"]);
  add_records("data.sources", {"name", "files"},
              whole.properties["data"].at("properties").at("sources"));
  whole.properties["extends"] = {
      {"description", "Recipes that this one changes, relative to this file."},
      {"anyOf",
       {json::object{{"type", "string"}},
        json::object{
            {"type", "array"}, {"items", json::object{{"type", "string"}}}, {"minItems", 1}}}}};
  whole.properties["vars"] = {
      {"description", "Values with names, for expressions: ${vars.width}."},
      {"type", {"object", "null"}},
      {"propertyNames", json::object{{"pattern", "^[A-Za-z_][A-Za-z0-9_]*$"}}},
      {"additionalProperties", json::object{{"type", {"string", "number", "boolean"}}}},
      {"maxProperties", 1000}};
  whole.properties["sweep"] = sweep_schema();
  const json::object schema = {
      {"$schema", "http://json-schema.org/draft-07/schema#"},
      {"title", "A Fulgur recipe"},
      {"type", "object"},
      {"properties", std::move(whole.properties)},
      {"additionalProperties", false},
      {"if", {{"required", {"extends"}}}},
      {"then", true},  // the base may give what is required
      {"else",
       {{"required", std::move(whole.required)}, {"properties", std::move(whole.required_below)}}}};
  return json::serialize(schema) + "\n";
}

}  // namespace fulgur
