#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

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

// Over what ranks the steps of a stretch are spread: job.layout with the axes that the phases up to it give.
Layout layout_of_phase(const Job& job, std::size_t phase);

double rope_base_of_phase(const Job& job, std::size_t phase);

// The job with all of that as the stretch has it: train, layout and model.rope_base. The phases stay.
Job job_of_phase(const Job& job, std::size_t phase);

// The job as step `step` (from 1) had it: what a checkpoint of that step was trained as. Step 0 as the first.
Job job_of_step(const Job& job, std::int64_t step);

// The learning rate of the step at whose end `tokens` tokens have been seen. From the first phase on that
// gives one, it goes in a straight line from each such phase's rate at its beginning to the next one's,
// and stays at the last. Before, linear warm-up from 0 to peak over warmup_tokens, constant, from
// decay_from on a cosine to final over decay_tokens, then final.
double learning_rate(const Job& job, std::int64_t tokens);

// Where the first phase begins that gives a learning rate; nothing when none does.
std::optional<std::int64_t> phase_rates_begin(const Job& job);

// The tokens that `steps` steps see from the start. Cost: O(phases).
std::int64_t tokens_of_steps(const Job& job, std::int64_t steps);

// The stretch that step `step` belongs to, counted from 1; 0 for step 0. Cost: O(phases).
std::size_t phase_of_step(const Job& job, std::int64_t step);

// The names of all fields of phases.
std::vector<std::string_view> phase_field_names();

// Phases are lists of one length, which the rules demand first.
bool phases_have_one_length(const Job& job);

}  // namespace fulgur
