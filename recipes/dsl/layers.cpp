#include "recipes/dsl/layers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "recipes/dsl/load.hpp"
#include "recipes/dsl/recipe_text.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using Kind = YamlNode::Kind;

constexpr std::string_view kExtends = "extends";

YamlPointer merged_maps(const YamlNode& base, const YamlNode& over) {
  auto made = std::make_shared<YamlNode>(over);
  made->entries = base.entries;
  std::map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < base.entries.size(); ++i)
    index.emplace(base.entries[i].key, i);
  for (const auto& entry : over.entries) {
    const auto there = index.find(entry.key);
    if (there == index.end()) {
      made->entries.push_back(entry);
    } else {
      auto& slot = made->entries[there->second];
      slot = {entry.key, entry.position, merged(slot.value, entry.value)};
    }
  }
  return made;
}

std::pair<std::string_view, std::string_view> split_name(std::string_view name) {
  const auto dot = name.find('.');
  if (dot == std::string_view::npos) return {name, ""};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

// Reads a recipe and what it extends, one into the other.
class LayerReader {
 public:
  explicit LayerReader(const fs::path& recipe) : folder_(fs::absolute(recipe).parent_path()) {
    std::error_code error;
    if (auto canonical = fs::canonical(folder_, error); !error) folder_ = std::move(canonical);
  }

  // The recipe itself is open, too.
  YamlPointer read_all(const fs::path& recipe) {
    std::error_code error;
    open_.emplace_back(fs::weakly_canonical(fs::absolute(recipe), error), Position{});
    return read(recipe, nullptr);
  }

 private:
  YamlPointer read(const fs::path& shown, const Position* named_at) {
    if (++files_ > kMaxRecipeFiles)
      refuse("E0122", fmt::format("more than {} files make this recipe", kMaxRecipeFiles),
             named_at);
    const auto text = read_text(shown, named_at);
    bytes_ += text.size();
    if (bytes_ > kMaxRecipeBytes)
      refuse("E0101", "the files that make this recipe are together larger than 1 MiB", named_at);
    auto tree = parse_yaml(text, shown.string(), nodes_left_);
    if (tree->kind != Kind::kMap) {
      throw RecipeError({{"E0109",
                          "a recipe is a mapping of keys to values",
                          {tree->position},
                          "",
                          "see recipes/quickstart.yaml for one to start from"}});
    }
    const auto extends = find_value(tree, kExtends);
    if (extends == nullptr) return tree;
    YamlPointer below;
    for (const auto& base : bases(*extends)) {
      auto layer = read_base(shown, *base);
      below = below == nullptr ? std::move(layer) : merged(below, layer);
    }
    auto own = without_value(tree, kExtends);
    return below == nullptr ? own : merged(below, own);
  }

  [[noreturn]] static void refuse(const char* code, std::string message, const Position* at,
                                  std::string help = "") {
    std::vector<Position> positions;
    if (at != nullptr) positions.push_back(*at);
    throw RecipeError({{code, std::move(message), std::move(positions), "", std::move(help)}});
  }

  // What cannot be read is shown where it is named.
  static std::string read_text(const fs::path& shown, const Position* named_at) {
    try {
      return read_recipe_text(shown);
    } catch (const RecipeError& error) {
      auto problems = error.diagnostics();
      if (named_at != nullptr) problems.front().positions = {*named_at};
      throw RecipeError(std::move(problems));
    }
  }

  static std::vector<YamlPointer> bases(const YamlNode& extends) {
    std::vector<YamlPointer> paths = extends.items;
    if (extends.kind == Kind::kScalar) paths.push_back(std::make_shared<YamlNode>(extends));
    const bool texts = std::all_of(paths.begin(), paths.end(), [](const YamlPointer& path) {
      return path->kind == Kind::kScalar && !path->text.empty();
    });
    if (paths.empty() || !texts)
      refuse("E0109", "`extends` must be a file or a list of files", &extends.position);
    return paths;
  }

  YamlPointer read_base(const fs::path& from, const YamlNode& base) {
    const fs::path named = base.text;
    if (named.is_absolute())
      refuse("E0121", fmt::format("`{}` is an absolute path", shortened(base.text)), &base.position,
             "name it relative to this file");
    const auto shown = (from.parent_path() / named).lexically_normal();
    std::error_code error;
    const auto real = fs::weakly_canonical(fs::absolute(shown), error);
    if (error)
      refuse("E0101", fmt::format("{}: {}", shown.string(), error.message()), &base.position);
    const auto escape = std::mismatch(folder_.begin(), folder_.end(), real.begin(), real.end());
    if (escape.first != folder_.end())
      refuse("E0121",
             fmt::format("`{}` leads out of the folder of the recipe", shortened(base.text)),
             &base.position, "put what recipes share beside them, or in a folder below");
    return read_inside(shown, real, base.position);
  }

  YamlPointer read_inside(const fs::path& shown, const fs::path& real, const Position& at) {
    const auto same = std::find_if(open_.begin(), open_.end(),
                                   [&](const auto& each) { return each.first == real; });
    if (same != open_.end()) {
      std::vector<Position> circle = {at};
      for (auto each = std::next(same); each != open_.end(); ++each)
        circle.push_back(each->second);
      throw RecipeError({{"E0122", fmt::format("{} extends itself", shown.string()),
                          std::move(circle), "", "take one of these out"}});
    }
    if (open_.size() >= kMaxRecipeDepth)
      refuse("E0122",
             fmt::format("recipes that extend each other more than {} deep", kMaxRecipeDepth), &at);
    open_.emplace_back(real, at);
    auto tree = read(shown, &at);
    open_.pop_back();
    return tree;
  }

  fs::path folder_;                                  // nothing outside of it is read
  std::vector<std::pair<fs::path, Position>> open_;  // being read, with where each is named
  std::size_t files_ = 0;
  std::size_t bytes_ = 0;
  std::size_t nodes_left_ = kMaxYamlNodes;
};

}  // namespace

YamlPointer merged(const YamlPointer& base, const YamlPointer& over) {
  if (base->kind == Kind::kMap && over->kind == Kind::kMap) return merged_maps(*base, *over);
  if (base->kind == Kind::kMap && over->kind == Kind::kNull) return base;
  auto made = std::make_shared<YamlNode>(*over);
  made->replaced = base;
  return made;
}

YamlPointer find_value(const YamlPointer& root, std::string_view name) {
  const auto [key, rest] = split_name(name);
  const auto at =
      std::find_if(root->entries.begin(), root->entries.end(),
                   [wanted = key](const YamlEntry& entry) { return entry.key == wanted; });
  if (at == root->entries.end()) return nullptr;
  return rest.empty() ? at->value : find_value(at->value, rest);
}

YamlPointer without_value(const YamlPointer& root, std::string_view name) {
  const auto [key, rest] = split_name(name);
  auto made = std::make_shared<YamlNode>(*root);
  const auto at =
      std::find_if(made->entries.begin(), made->entries.end(),
                   [wanted = key](const YamlEntry& entry) { return entry.key == wanted; });
  if (rest.empty())
    made->entries.erase(at);
  else
    at->value = without_value(at->value, rest);
  return made;
}

YamlPointer read_layers(const std::filesystem::path& path) {
  return LayerReader(path).read_all(path);
}

}  // namespace fulgur
