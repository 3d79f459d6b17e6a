#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "recipes/dsl/expander.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/dsl/sweep_section.hpp"
#include "recipes/dsl/yaml_tree.hpp"
#include "recipes/fields.hpp"

namespace fulgur {

inline constexpr std::size_t kMaxListItems = 10'000;

// Makes a Job of a recipe's values: collects them by dotted name, evaluates their expressions, converts
// them to the fields' types, derives what is left out. Goes on after a mistake; what it could not make
// out is in unknown().
class Binder {
 public:
  // `start` is where a field that is missing altogether is reported.
  explicit Binder(Position start);
  ~Binder() = default;
  Binder(const Binder&) = delete;
  Binder& operator=(const Binder&) = delete;

  // Takes all values of a recipe, which is a mapping, and binds every field.
  void bind(const YamlNode& root);

  Job& job() noexcept { return job_; }
  const FieldNames& unknown() const noexcept { return unknown_; }
  Problems& problems() noexcept { return problems_; }
  const std::vector<EnvironmentUse>& environment() const noexcept {
    return expander_.environment();
  }
  Provenance provenance() const;
  const std::optional<SweepSection>& sweep() const noexcept { return sweep_; }

 private:
  void collect_at(const std::string& name, const YamlPointer& node, const Position& at);
  void collect_entries(const std::string& section, const YamlNode& map);
  void collect_entry(const std::string& section, const YamlEntry& entry);
  void report(const char* code, std::string message, const Position& at, std::string help);
  void report_unknown_key(const std::string& name, const Position& at);
  bool is_unknown(std::string_view name) const;  // it, or a section that it lies in
  Position section_position(std::string_view name) const;

  void bind_field(const Field& field);
  void bind_given(const Field& field, const YamlPointer& node);
  void bind_left_out(const Field& field);
  ExpressionValue value_of(const Field& field);
  void leave_out_mixes();
  // Of the field, or of an element of it.
  std::optional<FieldValue> convert(const Field& field, FieldType type, const YamlPointer& node);
  std::optional<FieldValue> convert_scalar(const Field& field, FieldType type,
                                           const YamlPointer& node);
  std::optional<FieldValue> convert_list(const Field& field, FieldType type, const YamlNode& node);
  template <class T>
  std::optional<FieldValue> convert_items(const Field& field, FieldType type, const YamlNode& node);

  Job job_;
  Position start_;
  Positions positions_;
  std::map<std::string, YamlPointer, std::less<>> values_;
  std::optional<std::vector<std::string>> source_names_;
  FieldNames bound_;
  FieldNames unknown_;
  Problems problems_;
  Expander expander_;
  std::optional<SweepSection> sweep_;
};

}  // namespace fulgur
