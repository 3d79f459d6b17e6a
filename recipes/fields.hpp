#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "recipes/job.hpp"

namespace fulgur {

// A recipe field is declared once, in fields.cpp. Reading recipes, defaults, range errors, did-you-mean,
// the JSON of a Job, the identity of a run and docs/recipe_reference.md all come from that declaration.

enum class FieldType {
  kInteger,
  kReal,
  kText,
  kChoice,
  kIntegers,
  kReals,
  kTexts,
  kRealLists,
  kTextLists
};

// What a number counts, and so which units may follow it in a recipe.
enum class Unit {
  kNone,     // a plain number
  kCount,    // also 4M, 512Ki
  kTokens,   // also "4M tokens"
  kBytes,    // also 64MiB, 2GB
  kSeconds,  // also 500ms, 5s, 2min, 1h
};

enum class Category {
  kIdentity,  // what is computed: a resume may not change it
  kLayout,    // how it is spread over ranks: a resume may change it
  kRuntime,   // where, how long, how watched: free
};

enum class Presence {
  kRequired,
  kDefault,  // what a default-constructed Job holds
  kDerived,  // computed from other fields
};

// A choice is the text of its enumerator.
using FieldValue =
    std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>,
                 std::vector<std::string>, std::vector<std::vector<double>>,
                 std::vector<std::vector<std::string>>>;

// How to reach a field in a Job.
struct FieldAccess {
  FieldType type;
  FieldValue (*get)(const Job& job);
  // Throws std::invalid_argument when the value has another type, is no choice, or does not fit.
  void (*set)(Job& job, const FieldValue& value);
  std::span<const std::string_view> choices;  // kChoice only
};

// For numbers and for every number of a list. Both ends belong to it, unless open.
struct Range {
  double min = std::numeric_limits<double>::lowest();
  double max = std::numeric_limits<double>::max();
  bool open_min = false;
  bool open_max = false;

  bool contains(double value) const noexcept;  // false for NaN
};

bool is_list(FieldType type) noexcept;
// The type of a list's elements, which may be lists themselves. `type` is a list.
FieldType element_type(FieldType type) noexcept;

struct Field {
  std::string_view name;  // "optimizer.learning_rate.peak"
  FieldAccess access;
  Presence presence = Presence::kDefault;
  Unit unit = Unit::kNone;
  Range range = {};
  Category category = Category::kRuntime;
  std::string_view help;
  // kDerived: the rule in words, the fields that it reads (those not empty), and the rule in code, which
  // throws std::invalid_argument when they give no value. Derivations run in the order of declaration,
  // on inputs that are in their range.
  std::string_view derivation = {};
  std::array<std::string_view, 2> inputs = {};
  void (*derive)(Job& job) = nullptr;
  std::string_view zero_word = {};  // what may stand in a recipe for 0: "auto"
};

// In the order in which a recipe lists them. Lives as long as the program.
std::span<const Field> fields();

const Field* find_field(std::string_view name) noexcept;  // nullptr: there is none

// Whether `name` is a mapping that holds fields: "optimizer", "optimizer.learning_rate".
bool is_section(std::string_view name) noexcept;

// The keys directly below a section, in order; of the whole recipe when `section` is empty.
std::vector<std::string> keys_of(std::string_view section);

// "between 1 and 65536", "above 0"; empty for a range without ends.
std::string to_string(const Range& range);

// The shortest text that reads back as the same number.
std::string real_text(double value);

// How many elements a list has; 0 for a value that is no list.
std::size_t list_length(const FieldValue& value) noexcept;

// As it stands in a recipe or a message.
std::string to_string(const FieldValue& value);

}  // namespace fulgur
