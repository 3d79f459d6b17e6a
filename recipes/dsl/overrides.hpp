#pragma once

#include <string>
#include <vector>

#include "recipes/dsl/yaml_tree.hpp"

namespace fulgur {

// A recipe's values with arguments of the command line on top. The grammar is that of Hydra:
//
//   train.steps=20        sets a field, whether the recipe gives it or not
//   +train.steps=20       the same, but the recipe must not give it
//   ++train.steps=20      the same as without a sign
//   ~train.steps          takes the recipe's value away, so that the default counts; it must be there
//   ~train.steps=20       the same, if the value is written so
//
// Values that begin with [ or { are YAML; other values are taken as they are, so that the shell's quotes
// are the only ones. A single text will do for a list of texts. A mapping is merged.
//
// Later arguments win. Those that are wrong (E0107, E0113, E0123, and E0102 to E0106 in brackets) are
// left out and added to `problems`.
YamlPointer overridden(YamlPointer root, const std::vector<std::string>& arguments,
                       Problems& problems);

}  // namespace fulgur
