#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/dsl/yaml_tree.hpp"

namespace fulgur {

// Whether a section is written as a list of mappings, while its fields are lists: `phases` and
// `data.sources`.
bool is_record_list(std::string_view section) noexcept;

// The names of the data sources in a recipe, as they are written; nothing where they cannot be made out.
std::optional<std::vector<std::string>> written_source_names(const YamlNode& root);

// A list of mappings as the fields have it: a mapping of lists, one for each key, with what stands for
// "not given" where an element does not give it. Elements keep their positions; what is not given stands
// where its element does.
// Mixes may be mappings of source names to numbers: they become lists in the order of `sources`, with 0
// for those left out. Without `sources` they are left out.
//
// What is wrong (E0104, E0107, E0108, E0109, E0124) goes to `problems`; then the result is empty.
YamlPointer record_columns(const std::string& section, const YamlNode& list,
                           const std::optional<std::vector<std::string>>& sources,
                           Problems& problems);

}  // namespace fulgur
