#pragma once

#include <cstdint>
#include <span>

#include "recipes/job.hpp"

namespace fulgur {

// Draws the next token from logits: the largest (the lowest id on a tie) at temperature 0, else from
// softmax(logits / temperature) cut to the smallest set of likeliest tokens whose probability reaches
// top_p. `draw` in [0, 1) decides.
std::int32_t sample_token(std::span<const float> logits, double temperature, double top_p,
                          double draw);

}  // namespace fulgur
