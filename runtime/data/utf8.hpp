#pragma once

#include <string>

namespace fulgur {

// Takes from the front of `pending` all complete characters and leaves the unfinished one at its end.
// Bytes that are no UTF-8 become U+FFFD, so that what is returned is always valid.
std::string take_complete_utf8(std::string& pending);

}  // namespace fulgur
