#pragma once

#include <string>

namespace fulgur {

// The recipe language as a JSON Schema (draft 7), for editors: every key with its type, range, default
// and meaning. It refuses no recipe that loads; rules between fields are beyond it, and so are units of a
// wrong kind in expressions.
std::string recipe_schema();

}  // namespace fulgur
