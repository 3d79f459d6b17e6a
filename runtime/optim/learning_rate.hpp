#pragma once

#include <cstdint>

#include "recipes/job.hpp"

namespace fulgur {

// The learning rate of the step at whose end `tokens` tokens have been seen: linear warm-up from 0 to
// peak over warmup_tokens, constant, from decay_from on a cosine to final over decay_tokens, then final.
double learning_rate(const LearningRateSpec& spec, std::int64_t tokens);

}  // namespace fulgur
