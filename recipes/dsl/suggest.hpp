#pragma once

#include <span>
#include <string>
#include <string_view>

namespace fulgur {

// How many letters must be inserted, deleted, replaced or swapped with their neighbour to make `a` of `b`
// (optimal string alignment: no letter is touched twice). Bytes, case matters. Cost: |a| |b|.
int edit_distance(std::string_view a, std::string_view b);

// The nearest of the candidates within two edits, if that leaves a letter of the text; else empty.
std::string nearest(std::string_view text, std::span<const std::string> candidates);

// What to write instead of the unknown `key` of a section ("" for the whole recipe).
std::string suggest_key(std::string_view section, std::string_view key);

}  // namespace fulgur
