#include <fmt/format.h>

#include <fstream>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"
#include "recipes/canonical.hpp"
#include "recipes/diagnostic.hpp"
#include "recipes/dsl/format.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/dsl/recipe_text.hpp"
#include "recipes/job_json.hpp"
#include "recipes/schema.hpp"

namespace fulgur {
namespace {

std::optional<Category> category_of(const std::string& part) {
  if (part == "identity") return Category::kIdentity;
  if (part == "layout") return Category::kLayout;
  if (part == "runtime") return Category::kRuntime;
  return std::nullopt;
}

std::string place(const Provenance& provenance, const std::string& field) {
  const auto at = provenance.positions.find(field);
  if (at == provenance.positions.end()) return "default";
  const auto& position = at->second;
  return position.line == 0 ? std::string(kCommandLine)
                            : fmt::format("{}:{}", position.source.str(), position.line);
}

void replace_file(const std::filesystem::path& path, const std::string& text) {
  auto beside = path;
  beside += ".new";
  std::ofstream file(beside, std::ios::binary);
  file << text << std::flush;
  if (!file) throw std::runtime_error(fmt::format("{}: cannot be written", beside.string()));
  file.close();
  std::filesystem::permissions(beside, std::filesystem::status(path).permissions());
  std::filesystem::rename(beside, path);
}

}  // namespace

int run_command(const RecipeShowOptions& options) {
  const auto job = load_recipe(options.recipe, options.overrides).job;
  if (options.json) {
    fmt::print("{}\n", to_json(job));
    return kExitDone;
  }
  fmt::print("# job       {}\n# identity  {}\n{}", job_hash(job), identity_hash(job),
             to_recipe(job, category_of(options.part)));
  return kExitDone;
}

int run_command(const RecipeSchemaOptions& /*options*/) {
  fmt::print("{}", recipe_schema());
  return kExitDone;
}

int run_command(const RecipeDiffOptions& options) {
  const auto a = load_recipe(options.a, options.overrides, DataFiles::kLeave);
  const auto b = load_recipe(options.b, options.overrides, DataFiles::kLeave);
  const auto found = differences(a.job, b.job);
  for (const auto& each : found) {
    fmt::print("{} ({})\n  - {}  [{}]\n  + {}  [{}]\n", each.field, resume_text(each.category),
               printable(each.a), place(a.provenance, each.field), printable(each.b),
               place(b.provenance, each.field));
  }
  return found.empty() ? kExitDone : kExitFailed;
}

int run_command(const RecipeFormatOptions& options) {
  bool all_formatted = true;
  for (const auto& recipe : options.recipes) {
    const auto text = read_recipe_text(recipe);
    const auto formatted = formatted_recipe(text, recipe.string());
    if (text == formatted) continue;
    all_formatted = false;
    fmt::print("{}{}\n", recipe.string(), options.check ? ": not formatted" : "");
    if (!options.check) replace_file(recipe, formatted);
  }
  return all_formatted || !options.check ? kExitDone : kExitFailed;
}

}  // namespace fulgur
