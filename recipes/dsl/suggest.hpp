#pragma once

#include <span>
#include <string>
#include <string_view>

#include "recipes/diagnostic.hpp"

namespace fulgur {

// How many letters must be inserted, deleted, replaced or swapped with their neighbour to make `a` of `b`
// (optimal string alignment: no letter is touched twice). Bytes, case matters. Cost: |a| |b|.
int edit_distance(std::string_view a, std::string_view b);

// The nearest of the candidates within two edits, if that leaves a letter of the text; else empty.
std::string nearest(std::string_view text, std::span<const std::string> candidates);

// The keys that a recipe has besides the fields: "extends" and "vars".
std::span<const std::string_view> special_keys() noexcept;

// What to write instead of the unknown `key` of a section ("" for the whole recipe).
std::string suggest_key(std::string_view section, std::string_view key);

// The section that an unknown dotted name lies in, as far as there is one ("" for the whole recipe).
std::string section_of(std::string_view name);

// E0107 for a dotted name that is neither a field nor a section.
Diagnostic unknown_key(std::string_view name, const Position& at);

}  // namespace fulgur
