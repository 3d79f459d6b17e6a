#include "recipes/dsl/expander.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>

#include "recipes/dsl/recipe_text.hpp"
#include "recipes/dsl/secrets.hpp"
#include "recipes/dsl/suggest.hpp"

namespace fulgur {
namespace {

using Kind = YamlNode::Kind;

constexpr std::string_view kVariables = "vars.";
constexpr std::size_t kMaxVariables = 1000;
constexpr std::size_t kMaxOpenNames = 100;
constexpr std::size_t kMaxEnvironmentBytes = 4096;
constexpr std::size_t kMaxTextBytes = 65536;  // that an expression makes

bool is_variable_name(std::string_view name) {
  const auto good = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  };
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name.front())) == 0 &&
         std::all_of(name.begin(), name.end(), good);
}

// The part of a scalar, if its text stands in the line as it is.
Position within(const YamlNode& node, std::size_t offset, std::size_t length) {
  auto at = node.position;
  const auto begin =
      static_cast<std::size_t>(std::max(at.column - 1, 0)) + (node.quoted ? 1 : 0) + offset;
  const std::string_view line = at.text.str();
  if (at.line == 0 || begin + length > line.size() || offset + length > node.text.size()) return at;
  if (line.substr(begin, length) != std::string_view(node.text).substr(offset, length)) return at;
  at.column = static_cast<int>(begin) + 1;
  at.length = static_cast<int>(length);
  return at;
}

std::string_view unit_suffix(Unit unit) {
  switch (unit) {
    case Unit::kTokens:
      return " tokens";
    case Unit::kBytes:
      return "B";
    case Unit::kSeconds:
      return "s";
    case Unit::kNone:
    case Unit::kCount:
      break;
  }
  return "";
}

// As YAML reads it: a number when it looks like one.
ExpressionValue plain_value(const std::string& text) {
  const auto number = parse_quantity(text);
  if (const auto* quantity = std::get_if<Quantity>(&number)) return *quantity;
  return text;
}

std::string text_of(const ExpressionValue& value) {
  if (const auto* number = std::get_if<Quantity>(&value)) return real_text(number->value);
  return std::get<std::string>(value);
}

// The names in all expressions of a recipe, also in values that were replaced.
class NameCollector {
 public:
  void add(const YamlNode& root) {
    for (const auto* node = &root; node != nullptr && !gave_up(); node = node->replaced.get()) {
      if (node->kind == Kind::kScalar && has_expressions(node->text)) add_text(node->text);
      for (const auto& item : node->items)
        add(*item);
      for (const auto& entry : node->entries)
        add(*entry.value);
    }
  }

  // Too many expressions cannot be read for the names to be worth much.
  bool gave_up() const { return failures_ > Problems::kMost; }
  const FieldNames& names() const { return names_; }

 private:
  void add_text(const std::string& text) {
    try {
      for (const auto& piece : split_text(text)) {
        if (!piece.is_expression) continue;
        for (auto& name : names_in(parse_expression(piece.text)))
          names_.insert(std::move(name));
      }
    } catch (const ExpressionError&) {
      ++failures_;  // reported where it is evaluated, if it is
    }
  }

  FieldNames names_;
  std::size_t failures_ = 0;
};

}  // namespace

Expander::Expander(FieldSource field_value, Problems& problems)
    : field_value_(std::move(field_value)), problems_(problems) {}

void Expander::report(const char* code, std::string message, const Position& at, std::string help) {
  problems_.add({code, std::move(message), {at}, "", std::move(help)});
}

void Expander::report(const ExpressionError& error, const YamlNode& node) {
  if (error.code == "E0118" && std::exchange(out_of_steps_, true)) return;
  Diagnostic problem{
      error.code, error.what(), {within(node, error.offset, error.length)}, "", error.help};
  problem.positions.insert(problem.positions.end(), error.others.begin(), error.others.end());
  problems_.add(std::move(problem));
}

void Expander::collect_variables(const YamlNode& vars, const Position& at) {
  if (vars.kind == Kind::kNull) return;
  if (vars.kind != Kind::kMap)
    return report("E0109", "`vars` must be a mapping of names to values", at);
  if (vars.entries.size() > kMaxVariables)
    return report("E0118", fmt::format("more than {} variables", kMaxVariables), at);
  for (const auto& entry : vars.entries)
    add_variable(entry);
}

void Expander::add_variable(const YamlEntry& entry) {
  if (is_secret_name(entry.key)) return problems_.add(secret_key(entry.key, entry.position));
  if (!is_variable_name(entry.key))
    return report("E0115", fmt::format("`{}` is no name for a variable", shortened(entry.key)),
                  entry.position, "letters, digits and _, a letter first");
  Variable variable{.node = entry.value};
  if (entry.value->kind != Kind::kScalar) {
    report("E0109", fmt::format("`vars.{}` must be a number or a text", entry.key), entry.position);
    variable.failed = true;
  }
  variables_.insert_or_assign(entry.key, std::move(variable));
  variable_positions_.insert_or_assign(std::string(kVariables) + entry.key, entry.value->position);
}

void Expander::report_unused_variables(const YamlNode& root) {
  NameCollector used;
  if (!variables_.empty()) used.add(root);
  if (used.gave_up()) return;
  for (const auto& [name, variable] : variables_) {
    const auto full = std::string(kVariables) + name;
    if (used.names().contains(full) || used.names().contains(name)) continue;  // "vars." forgotten
    report("E0125", fmt::format("nothing uses the variable `{}`", name),
           variable_positions_.at(full), fmt::format("write ${{vars.{}}}, or take it out", name));
  }
}

Expander::Entry Expander::enter(const std::string& name, const Position& at) {
  const auto same = std::find_if(open_.begin(), open_.end(),
                                 [&](const auto& each) { return each.first == name; });
  if (same != open_.end()) throw Circle{{same, open_.end()}};
  open_.emplace_back(name, at);
  return Entry(*this);
}

YamlPointer Expander::expanded(const std::string& name, const YamlPointer& node, bool number) {
  if (node->kind != Kind::kScalar || !has_expressions(node->text)) return node;
  if (out_of_steps_) return nullptr;
  auto made = std::make_shared<YamlNode>(*node);
  try {
    const auto value = value_of_text(name, *node);
    const auto* quantity = std::get_if<Quantity>(&value);
    if (std::holds_alternative<bool>(value)) {
      report("E0117", fmt::format("`{}` cannot be a truth value", name), node->position,
             "comparisons are for if(condition, then, else)");
      return nullptr;
    }
    made->quoted = quantity == nullptr;
    made->text = text_of(value);
    if (quantity != nullptr && number) made->text += unit_suffix(quantity->unit);
    if (quantity != nullptr || !number) return made;
    report("E0117",
           fmt::format("`{}` must be a number, not the text `{}`", name, shortened(made->text)),
           node->position, "put all of a number between ${ and }");
  } catch (const ExpressionError& error) {
    report(error, *node);
  } catch (const Unknown&) {
    return nullptr;
  }
  return nullptr;
}

ExpressionValue Expander::value_of_text(const std::string& name, const YamlNode& node) {
  const auto pieces = split_text(node.text);
  const ExpressionScope scope = {
      .value_of = [this](const Expression& each) { return value_of(each); },
      .environment = [&](const Expression& each) { return environment_value(each, node); }};
  const auto value_of_piece = [&](const TextPiece& piece) {
    const auto expression = parse_expression(piece.text, piece.offset);
    auto& references = references_[name];
    for (auto& each : names_in(expression))
      references.push_back(std::move(each));
    return evaluate(expression, scope, steps_left_);
  };
  if (pieces.size() == 1 && pieces[0].is_expression) return value_of_piece(pieces[0]);
  std::string text;
  for (const auto& piece : pieces) {
    if (!piece.is_expression) {
      text += piece.text;
      continue;
    }
    const auto value = value_of_piece(piece);
    if (std::holds_alternative<bool>(value)) {
      throw ExpressionError("E0117", "a truth value cannot stand in a text",
                            Expression{.offset = piece.offset, .length = piece.text.size()});
    }
    text += text_of(value);
    if (text.size() > kMaxTextBytes) {
      throw ExpressionError("E0118", fmt::format("a text of more than {} bytes", kMaxTextBytes),
                            Expression{.offset = piece.offset, .length = piece.text.size()});
    }
  }
  return text;
}

ExpressionValue Expander::value_of(const Expression& name) {
  if (open_.size() > kMaxOpenNames) {
    throw ExpressionError(
        "E0118", fmt::format("more than {} values refer to each other in a row", kMaxOpenNames),
        name);
  }
  try {
    return looked_up(name);
  } catch (const Circle& circle) {
    std::string path;
    for (const auto& each : circle.names)
      path += each.first + " -> ";
    const auto& first = circle.names.front().first;
    ExpressionError error("E0116", fmt::format("`{}` refers to itself: {}{}", first, path, first),
                          name);
    for (const auto& each : circle.names) {
      if (!each.second.source.str().empty()) error.others.push_back(each.second);
    }
    throw error;
  }
}

ExpressionValue Expander::looked_up(const Expression& name) {
  return name.text.starts_with(kVariables) ? variable_value(name) : field_value(name);
}

ExpressionValue Expander::variable_value(const Expression& name) {
  const auto at = variables_.find(name.text.substr(kVariables.size()));
  if (at == variables_.end()) {
    std::vector<std::string> names;
    for (const auto& each : variable_positions_)
      names.push_back(each.first);
    const auto near = nearest(name.text, names);
    throw ExpressionError(
        "E0115", fmt::format("there is no variable `{}`", shortened(name.text)), name,
        near.empty() ? "variables stand below `vars`" : fmt::format("did you mean `{}`?", near));
  }
  auto& variable = at->second;
  if (variable.failed) throw Unknown{};
  if (variable.known) return variable.value;
  const auto& node = *variable.node;
  const auto entry = enter(name.text, node.position);
  try {
    if (has_expressions(node.text))
      variable.value = value_of_text(name.text, node);
    else if (node.quoted)
      variable.value = node.text;
    else
      variable.value = plain_value(node.text);
  } catch (const ExpressionError& error) {
    variable.failed = true;
    report(error, node);
    throw Unknown{};
  } catch (const Unknown&) {
    variable.failed = true;
    throw;
  }
  variable.known = true;
  return variable.value;
}

ExpressionValue Expander::field_value(const Expression& name) {
  const auto* field = find_field(name.text);
  if (field == nullptr) {
    if (is_section(name.text))
      throw ExpressionError("E0115", fmt::format("`{}` is a section, not a value", name.text),
                            name);
    std::vector<std::string> names;
    for (const auto& each : fields())
      names.emplace_back(each.name);
    for (const auto& each : variable_positions_)
      names.push_back(each.first);
    auto near = nearest(name.text, names);
    if (near.empty() && variables_.contains(name.text)) near = std::string(kVariables) + name.text;
    throw ExpressionError("E0115", fmt::format("there is no field `{}`", shortened(name.text)),
                          name,
                          near.empty() ? "fields are named in full, as train.batch"
                                       : fmt::format("did you mean `{}`?", near));
  }
  const auto type = field->access.type;
  if (is_list(type))
    throw ExpressionError("E0115", fmt::format("`{}` is a list, not a single value", name.text),
                          name);
  return field_value_(*field);
}

ExpressionValue Expander::environment_value(const Expression& name, const YamlNode& node) {
  if (is_secret_environment(name.text))
    throw ExpressionError(
        "E0119",
        fmt::format("`{}` looks like a secret, and what is read is recorded", shortened(name.text)),
        name);
  const char* set = std::getenv(name.text.c_str());
  if (set == nullptr && !name.has_fallback)
    throw ExpressionError(
        "E0119", fmt::format("the environment variable `{}` is not set", shortened(name.text)),
        name, fmt::format("set it, or write ${{env:{}:-fallback}}", shortened(name.text)));
  const std::string value = set != nullptr ? set : name.fallback;
  if (value.size() > kMaxEnvironmentBytes || !text_fault(value).empty())
    throw ExpressionError("E0119",
                          fmt::format("the environment variable `{}` is longer than {} bytes, or "
                                      "no text",
                                      shortened(name.text), kMaxEnvironmentBytes),
                          name);
  environment_.push_back({name.text, value, set != nullptr, node.position});
  return plain_value(value);
}

}  // namespace fulgur
