#pragma once

#include "recipes/dsl/yaml_tree.hpp"

namespace fulgur {

// `phases` as it is written, a list of mappings, as the fields have it: a mapping of lists, one for each
// key, with 0 (for learning_rate -1) where a phase does not give it. Elements keep their positions; what
// is not given stands where its phase does. What is wrong (E0107, E0108, E0109, E0124) goes to `problems`;
// then the result is empty.
YamlPointer phase_columns(const YamlNode& list, Problems& problems);

}  // namespace fulgur
