#pragma once

#include <string>
#include <vector>

namespace fulgur {

// A word for a POSIX shell: in single quotes unless it is plain.
std::string shell_quoted(const std::string& word);

// "fulgur train 'my recipe.yaml'"
std::string shell_command(const std::vector<std::string>& words);

}  // namespace fulgur
