#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/diagnostic.hpp"

namespace fulgur {

struct YamlNode;
using YamlPointer = std::shared_ptr<const YamlNode>;

struct YamlEntry {
  std::string key;
  Position position;  // of the key
  YamlPointer value;
};

// A value of a YAML document. An alias is a node of its own, with the children of its anchor.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string text;     // kScalar
  bool quoted = false;  // kScalar: in quotes, or a block of text
  std::vector<YamlPointer> items;
  std::vector<YamlEntry> entries;
  Position position;
  YamlPointer replaced;  // the value of an earlier layer that this one took the place of
};

inline constexpr int kMaxYamlDepth = 64;
inline constexpr std::size_t kMaxYamlNodes = 100'000;  // where an alias counts as its whole anchor

// Reads one document. Throws RecipeError for a text that is not YAML (E0102), is empty or goes on with a
// second document, breaks a limit, refers to itself, has a key twice in a mapping, or uses tags, merge
// keys or keys that are not text. Nothing is interpreted: `010` is the text 010.
// `nodes_left` is what documents that are read together may have; what this one has is taken off.
YamlPointer parse_yaml(const std::string& text, std::string_view source, std::size_t& nodes_left);
YamlPointer parse_yaml(const std::string& text, std::string_view source);

}  // namespace fulgur
