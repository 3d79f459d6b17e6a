#include "recipes/dsl/secrets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace fulgur {
namespace {

std::string lower(std::string_view name) {
  std::string result(name);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

}  // namespace

bool is_secret_name(std::string_view name) {
  static constexpr auto kParts =
      std::to_array<std::string_view>({"secret", "password", "passwd", "passphrase", "credential",
                                       "token_value", "api_key", "private_key", "access_key"});
  const auto text = lower(name);
  return std::any_of(kParts.begin(), kParts.end(),
                     [&](std::string_view part) { return text.find(part) != std::string::npos; });
}

bool is_secret_environment(std::string_view name) {
  const auto text = lower(name);
  return is_secret_name(text) || text == "token" || text.ends_with("_token");
}

Diagnostic secret_key(std::string_view key, const Position& at) {
  auto shown = at;
  const auto end = at.line == 0 ? at.text.str().find(key) + key.size()
                                : static_cast<std::size_t>(at.column - 1 + at.length);
  if (end < at.text.str().size()) shown.text = at.text.str().substr(0, end) + " ...";
  return {"E0124",
          fmt::format("`{}` looks like a secret", shortened(key)),
          {shown},
          "",
          "recipes are stored with every checkpoint: keep it out of them"};
}

}  // namespace fulgur
