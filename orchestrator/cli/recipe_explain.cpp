#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "recipes/canonical.hpp"
#include "recipes/diagnostic.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/dsl/suggest.hpp"
#include "recipes/fields.hpp"
#include "recipes/reference.hpp"

namespace fulgur {
namespace {

void print_field(const Field& field) {
  fmt::print("{}\n  {}\n", field.name, field.help);
  const auto unit = unit_text(field.unit);
  fmt::print("  type     {}{}\n", type_text(field), unit.empty() ? "" : ", " + unit);
  if (const auto range = to_string(field.range); !range.empty())
    fmt::print("  range    {}\n", range);
  fmt::print("  default  {}\n", default_text(field));
  fmt::print("  resume   {}\n", resume_text(field.category));
}

std::string place(const Position& at) {
  if (at.line == 0) return at.source.str();
  return fmt::format("{}:{}:{}", at.source.str(), at.line, at.column);
}

// The value that counts, and everybody who sets it, the last one first.
void print_value(const Field& field, const LoadedRecipe& loaded) {
  const std::string name(field.name);
  fmt::print("  value    {}\n", printable(to_string(field.access.get(loaded.job))));
  const auto& provenance = loaded.provenance;
  const auto settings = provenance.settings.find(name);
  if (settings == provenance.settings.end()) {
    fmt::print("  set by   nobody: it is {}\n",
               field.presence == Presence::kDerived ? "derived" : "the default");
  } else {
    const char* word = "set by ";
    for (const auto& each : settings->second) {
      fmt::print("  {}  {}   {}\n", word, place(each.position), printable(each.value));
      word = "over   ";
    }
  }
  const auto refers = provenance.references.find(name);
  if (refers == provenance.references.end()) return;
  for (const auto& other : refers->second) {
    const auto at = provenance.positions.find(other);
    fmt::print("  from     {}{}\n", other,
               at == provenance.positions.end() ? "" : "   " + place(at->second));
  }
}

void print_code(const DiagnosticCode& code) {
  fmt::print("{}: {}\n  {}\n", code.code, code.meaning, code.advice);
}

[[noreturn]] void unknown(const std::string& key) {
  std::vector<std::string> names;
  for (const auto& field : fields())
    names.emplace_back(field.name);
  for (const auto& code : diagnostic_codes())
    names.emplace_back(code.code);
  auto near = nearest(key, names);
  if (near.empty()) {  // the last part alone, perhaps misspelt
    const auto same = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
      const std::vector<std::string> last = {name.substr(name.rfind('.') + 1)};
      return !nearest(key, last).empty();
    });
    if (same != names.end()) near = *same;
  }
  throw UsageError(fmt::format("there is no field, section or error code `{}`{}", key,
                               near.empty() ? "" : fmt::format("; did you mean `{}`?", near)));
}

}  // namespace

int run_command(const RecipeExplainOptions& options) {
  const auto codes = diagnostic_codes();
  const auto code = std::find_if(codes.begin(), codes.end(), [&](const DiagnosticCode& each) {
    return each.code == options.key;
  });
  if (code != codes.end()) {
    print_code(*code);
    return kExitDone;
  }
  if (find_field(options.key) == nullptr && !is_section(options.key)) unknown(options.key);
  std::optional<LoadedRecipe> loaded;
  if (options.recipe) loaded = load_recipe(*options.recipe, options.overrides, DataFiles::kLeave);
  bool first = true;
  for (const auto& field : fields()) {
    if (field.name != options.key && !field.name.starts_with(options.key + ".")) continue;
    if (!std::exchange(first, false)) fmt::print("\n");
    print_field(field);
    if (loaded) print_value(field, *loaded);
  }
  return kExitDone;
}

}  // namespace fulgur
