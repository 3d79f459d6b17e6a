#pragma once

#include <string>
#include <string_view>

namespace fulgur {

// Two lower-case digits for each byte, and back. from_hex throws WireError::Kind::kMessage.
std::string to_hex(std::string_view bytes);
std::string from_hex(std::string_view digits);

// The text with '?' for every byte that is not part of well-formed UTF-8: JSON holds nothing else.
std::string valid_utf8(std::string_view text);

}  // namespace fulgur
