#include "recipes/dsl/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "recipes/dsl/binder.hpp"
#include "recipes/dsl/data_files.hpp"
#include "recipes/dsl/recipe_text.hpp"
#include "recipes/dsl/yaml_tree.hpp"

namespace fulgur {
namespace {

// A field that was derived stands where its inputs do.
void add_positions(const std::string& name, const Positions& positions, std::vector<Position>& to) {
  const auto at = positions.find(name);
  if (at != positions.end()) {
    const bool there = std::any_of(to.begin(), to.end(), [&](const Position& other) {
      return other.source == at->second.source && other.line == at->second.line &&
             other.column == at->second.column && other.text == at->second.text;
    });
    if (!there) to.push_back(at->second);
    return;
  }
  const auto* field = find_field(name);
  if (field == nullptr || field->presence != Presence::kDerived) return;
  for (const auto input : field->inputs)
    add_positions(std::string(input), positions, to);
}

// Returns false when there is something wrong with them.
bool resolve_data_files(const std::filesystem::path& recipe, Binder& binder) {
  auto& data = binder.job().data;
  if (binder.unknown().contains("data.files") || binder.unknown().contains("data.exclude"))
    return false;
  std::vector<FilePattern> patterns;
  for (std::size_t i = 0; i < data.files.size(); ++i) {
    const auto& at = binder.positions().at(fmt::format("data.files[{}]", i));
    const auto folder = at.source == kCommandLine ? std::filesystem::current_path()
                                                  : std::filesystem::absolute(recipe).parent_path();
    patterns.push_back({data.files[i], folder, at});
  }
  const auto problems = binder.problems().size();
  data.files = find_data_files(patterns, data.exclude, binder.problems());
  return binder.problems().size() == problems;
}

Position start_of(const std::filesystem::path& path, const std::string& text) {
  return {.source = path.string(),
          .line = 1,
          .column = 1,
          .text = text.substr(0, std::min(text.find_first_of("\r\n"), text.size()))};
}

}  // namespace

std::vector<Diagnostic> to_diagnostics(const std::vector<Violation>& broken,
                                       const Positions& positions) {
  std::vector<Diagnostic> diagnostics;
  for (const auto& violation : broken) {
    Diagnostic diagnostic{violation.code, violation.message, {}, "", violation.help};
    for (const auto& field : violation.fields)
      add_positions(field, positions, diagnostic.positions);
    diagnostics.push_back(std::move(diagnostic));
  }
  return diagnostics;
}

LoadedRecipe load_recipe(const std::filesystem::path& path,
                         const std::vector<std::string>& overrides) {
  const auto text = read_recipe_text(path);
  const auto tree = parse_yaml(text, path.string());
  if (tree->kind != YamlNode::Kind::kMap) {
    throw RecipeError({{"E0109",
                        "a recipe is a mapping of keys to values",
                        {tree->position},
                        "",
                        "see recipes/quickstart.yaml for one to start from"}});
  }
  Binder binder(start_of(path, text));
  binder.collect(*tree);
  for (const auto& argument : overrides)
    binder.collect_override(argument);
  binder.bind();
  auto unknown = binder.unknown();
  if (!resolve_data_files(path, binder)) unknown.emplace("data.files");
  auto problems = std::move(binder.problems());
  auto broken = to_diagnostics(violations(binder.job(), unknown), binder.positions());
  std::move(broken.begin(), broken.end(), std::back_inserter(problems));
  if (!problems.empty()) throw RecipeError(std::move(problems));
  return {std::move(binder.job()), binder.positions()};
}

}  // namespace fulgur
