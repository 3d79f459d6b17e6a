#include "recipes/reference.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "recipes/canonical.hpp"
#include "recipes/diagnostic.hpp"
#include "recipes/fields.hpp"

namespace fulgur {
namespace {

constexpr std::string_view kIntroduction = R"(# Recipe reference

This page is written by `fulgur_recipe_reference` from the declarations in `recipes/fields/`: change
those, then run `build/release/bin/fulgur_recipe_reference > docs/recipe_reference.md`.

A recipe is a YAML file; [the recipe language](recipe_language.md) tells how it extends others, how values
are computed from each other, and how they are set on the command line. Keys that are not listed here are
errors, but for `extends`, `vars` and `sweep` ([sweeps](sweep.md)). Numbers are decimal; where a unit is named they may carry one:

| unit | examples |
|---|---|
| count | `4096`, `4k` = 4000, `4Ki` = 4096, `1.5M`, `2Gi` |
| tokens | the same, and `512Ki tokens` |
| bytes | the same, and `64MiB`, `2GB` |
| time | `0.5` (seconds), `500ms`, `5s`, `2min`, `1h` |

*Resume* says what may change when a run goes on from a checkpoint: **fixed** fields make a run what it
is and may not, **layout** and **free** fields may.
)";

std::string heading_of(std::string_view name) {
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? "" : std::string(name.substr(0, dot));
}

std::string fields_text() {
  std::string out, section = "-";
  for (const auto& field : fields()) {
    const auto here = heading_of(field.name);
    if (here != section) {
      section = here;
      out += fmt::format("\n## {}\n\n", section.empty() ? "The run" : fmt::format("`{}`", section));
      out += "| field | type | range | default | resume | meaning |\n|---|---|---|---|---|---|\n";
    }
    const auto key = section.empty() ? field.name : field.name.substr(section.size() + 1);
    auto type = type_text(field);
    if (const auto unit = unit_text(field.unit); !unit.empty()) type += ", " + unit;
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", key, type, to_string(field.range),
                       default_text(field), resume_text(field.category), field.help);
  }
  return out;
}

std::string codes_text() {
  std::string out = "\n## Errors\n\n| code | meaning | advice |\n|---|---|---|\n";
  for (const auto& [code, meaning, advice] : diagnostic_codes())
    out += fmt::format("| {} | {} | {} |\n", code, meaning, advice);
  return out;
}

}  // namespace

std::string recipe_reference() {
  return std::string(kIntroduction) + fields_text() + codes_text();
}

std::string unit_text(Unit unit) {
  switch (unit) {
    case Unit::kNone:
      return "";
    case Unit::kCount:
      return "count";
    case Unit::kTokens:
      return "tokens";
    case Unit::kBytes:
      return "bytes";
    case Unit::kSeconds:
      return "time";
  }
  return "";
}

std::string default_text(const Field& field) {
  if (field.presence == Presence::kRequired) return "required";
  if (field.presence == Presence::kDerived) return std::string(field.derivation);
  const auto text = to_string(field.access.get(Job{}));
  return text.empty() ? "empty" : fmt::format("`{}`", text);
}

}  // namespace fulgur
