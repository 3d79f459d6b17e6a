#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "recipes/dsl/expression.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/dsl/yaml_tree.hpp"
#include "recipes/fields.hpp"

namespace fulgur {

// Replaces the expressions in a recipe's values by what they come to: knows the variables (`vars`), reads
// the environment, and asks its owner for the values of fields. What is wrong goes to `problems`, once.
class Expander {
 public:
  // Gives a field's value, or throws Unknown when there is none because of a mistake reported elsewhere.
  using FieldSource = std::function<ExpressionValue(const Field& field)>;
  struct Unknown {};

  Expander(FieldSource field_value, Problems& problems);

  void collect_variables(const YamlNode& vars, const Position& at);

  // Reports variables that no expression names, in a value that counts or one that it replaced.
  void report_unused_variables(const YamlNode& root);

  // Marks the name as being worked out as long as it lives. Throws Circle when it is already. The position
  // of what the recipe does not give is empty.
  class Entry;
  struct Circle {
    std::vector<std::pair<std::string, Position>> names;
  };
  Entry enter(const std::string& name, const Position& at);

  // The value with its expressions evaluated, at the same position. Empty when that cannot be done.
  // `number`: whether a number is wanted.
  YamlPointer expanded(const std::string& name, const YamlPointer& node, bool number);

  const References& references() const noexcept { return references_; }
  const std::vector<EnvironmentUse>& environment() const noexcept { return environment_; }
  const std::map<std::string, Position>& variables() const noexcept { return variable_positions_; }

 private:
  struct Variable {
    YamlPointer node;
    bool known = false;
    bool failed = false;
    ExpressionValue value;
  };

  void add_variable(const YamlEntry& entry);
  void report(const char* code, std::string message, const Position& at, std::string help = "");
  void report(const ExpressionError& error, const YamlNode& node);
  ExpressionValue value_of(const Expression& name);
  ExpressionValue looked_up(const Expression& name);
  ExpressionValue variable_value(const Expression& name);
  ExpressionValue field_value(const Expression& name);
  ExpressionValue environment_value(const Expression& name, const YamlNode& node);
  ExpressionValue value_of_text(const std::string& name, const YamlNode& node);

  FieldSource field_value_;
  Problems& problems_;
  std::map<std::string, Variable, std::less<>> variables_;
  std::map<std::string, Position> variable_positions_;
  std::vector<std::pair<std::string, Position>> open_;
  References references_;
  std::vector<EnvironmentUse> environment_;
  int steps_left_ = kMaxExpressionSteps;
  bool out_of_steps_ = false;
};

class Expander::Entry {
 public:
  explicit Entry(Expander& owner) : owner_(owner) {}
  ~Entry() { owner_.open_.pop_back(); }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

 private:
  Expander& owner_;
};

}  // namespace fulgur
