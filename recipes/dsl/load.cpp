#include "recipes/dsl/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "recipes/dsl/binder.hpp"
#include "recipes/dsl/data_files.hpp"
#include "recipes/dsl/layers.hpp"
#include "recipes/dsl/overrides.hpp"

namespace fulgur {
namespace {

// A field that was derived stands where its inputs do, one that is an expression also where the values
// do that it refers to.
class PositionFinder {
 public:
  PositionFinder(const Provenance& provenance, std::vector<Position>& found)
      : provenance_(provenance), found_(found) {}

  void add(const std::string& name) {
    if (found_.size() >= kMost || !seen_.insert(name).second) return;
    const auto at = provenance_.positions.find(name);
    if (at != provenance_.positions.end()) add(at->second);
    if (const auto refers = provenance_.references.find(name);
        refers != provenance_.references.end()) {
      for (const auto& each : refers->second)
        add(each);
    }
    const auto* field = find_field(name);
    if (at != provenance_.positions.end() || field == nullptr ||
        field->presence != Presence::kDerived)
      return;
    for (const auto input : field->inputs)
      add(std::string(input));
  }

 private:
  static constexpr std::size_t kMost = 8;  // more are no help

  void add(const Position& at) {
    const bool there = std::any_of(found_.begin(), found_.end(), [&](const Position& other) {
      return other.source == at.source && other.line == at.line && other.column == at.column &&
             other.text == at.text;
    });
    if (!there) found_.push_back(at);
  }

  const Provenance& provenance_;
  std::vector<Position>& found_;
  FieldNames seen_;
};

// Replaces the patterns of a list of files, whose field or element is `name`, by the files that they match.
void find_files(const std::string& name, std::vector<std::string>& files,
                const Positions& positions, Binder& binder) {
  std::vector<FilePattern> patterns;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto& at = positions.at(fmt::format("{}[{}]", name, i));
    const auto folder = at.source == kCommandLine
                            ? std::filesystem::current_path()
                            : std::filesystem::absolute(at.source.str()).parent_path();
    patterns.push_back({files[i], folder, at});
  }
  files = find_data_files(patterns, binder.job().data.exclude, binder.problems());
}

// Of data.files and of every source. Fields with something wrong become unknown.
void find_all_files(const Positions& positions, Binder& binder, FieldNames& unknown) {
  auto& data = binder.job().data;
  for (const char* name : {"data.files", "data.sources.files"}) {
    if (unknown.contains(name)) continue;
    const auto problems = binder.problems().size();
    if (unknown.contains("data.exclude")) {
      unknown.emplace(name);
    } else if (name == std::string_view("data.files")) {
      find_files(name, data.files, positions, binder);
    } else {
      for (std::size_t i = 0; i < data.sources.files.size(); ++i)
        find_files(fmt::format("{}[{}]", name, i), data.sources.files[i], positions, binder);
    }
    if (binder.problems().size() != problems) unknown.emplace(name);
  }
}

}  // namespace

std::vector<Diagnostic> to_diagnostics(const std::vector<Violation>& broken,
                                       const Provenance& provenance) {
  std::vector<Diagnostic> diagnostics;
  for (const auto& violation : broken) {
    Diagnostic diagnostic{violation.code, violation.message, {}, "", violation.help};
    PositionFinder finder(provenance, diagnostic.positions);
    for (const auto& field : violation.fields)
      finder.add(field);
    diagnostics.push_back(std::move(diagnostic));
  }
  return diagnostics;
}

LoadedRecipe load_recipe(const std::filesystem::path& path,
                         const std::vector<std::string>& overrides, DataFiles data) {
  auto tree = read_layers(path);
  Binder binder(tree->position);
  tree = overridden(std::move(tree), overrides, binder.problems());
  binder.bind(*tree);
  auto provenance = binder.provenance();
  auto unknown = binder.unknown();
  if (data == DataFiles::kFind) find_all_files(provenance.positions, binder, unknown);
  auto& problems = binder.problems();
  for (auto& broken : to_diagnostics(violations(binder.job(), unknown), provenance))
    problems.add(std::move(broken));
  if (problems.size() > 0) throw RecipeError(problems.take());
  return {std::move(binder.job()), std::move(provenance), binder.environment(), binder.sweep()};
}

}  // namespace fulgur
