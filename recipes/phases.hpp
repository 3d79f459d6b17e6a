#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "recipes/job.hpp"

namespace fulgur {

// Training goes through stretches: the first as job.train says, then one for each of job.phases, which
// begins with the first step at whose begin `from` tokens have been seen. All here are pure functions of
// the job.

// The stretch that a step belongs to before which `tokens` tokens have been seen: 0 is that of job.train,
// i + 1 that of phase i.
std::size_t phase_at(const Job& job, std::int64_t tokens);

// What the steps of a stretch are made of: job.train with the values of the phases up to it.
TrainSpec train_of_phase(const Job& job, std::size_t phase);

// The learning rate of the step at whose end `tokens` tokens have been seen. From the first phase on that
// gives one, it goes in a straight line from each such phase's rate at its beginning to the next one's,
// and stays at the last. Before, linear warm-up from 0 to peak over warmup_tokens, constant, from
// decay_from on a cosine to final over decay_tokens, then final.
double learning_rate(const Job& job, std::int64_t tokens);

// Where the first phase begins that gives a learning rate; nothing when none does.
std::optional<std::int64_t> phase_rates_begin(const Job& job);

// The tokens that `steps` steps see from the start. Cost: O(phases).
std::int64_t tokens_of_steps(const Job& job, std::int64_t steps);

// Phases are lists of one length, which the rules demand first.
bool phases_have_one_length(const PhasesSpec& phases);

}  // namespace fulgur
