#pragma once

#include <string_view>

#include "recipes/diagnostic.hpp"

namespace fulgur {

// Whether a key or a variable has a name as for a secret: "password", "secret", "token_value",
// "api_key". Recipes are stored and shown, so they must not hold one.
bool is_secret_name(std::string_view name);

// The same for an environment variable, where a token is a secret and no piece of text: "HF_TOKEN".
bool is_secret_environment(std::string_view name);

// E0124 for a key with such a name. The message does not repeat what stands behind the key.
Diagnostic secret_key(std::string_view key, const Position& at);

}  // namespace fulgur
