#include "recipes/fields/declared.hpp"

namespace fulgur::declared {

std::vector<Field> phase_fields() {
  return {
      {.name = "phases.from",
       .access = kMember<&Job::phases, &PhasesSpec::from>,
       .unit = Unit::kTokens,
       .range = {.min = 1, .max = 9007199254740992.0},
       .category = kIdentity,
       .help = "The phase begins with the first step before which so many tokens have been seen."},
      {.name = "phases.sequence_length",
       .access = kMember<&Job::phases, &PhasesSpec::sequence_length>,
       .unit = Unit::kTokens,
       .range = {.min = 0, .max = 1 << 26},
       .category = kIdentity,
       .help = "Tokens per sequence from then on; 0: as before."},
      {.name = "phases.batch",
       .access = kMember<&Job::phases, &PhasesSpec::batch>,
       .unit = Unit::kCount,
       .range = {.min = 0, .max = 1 << 24},
       .category = kIdentity,
       .help = "Sequences per step from then on; 0: as before."},
      {.name = "phases.micro_batch",
       .access = kMember<&Job::phases, &PhasesSpec::micro_batch>,
       .unit = Unit::kCount,
       .range = {.min = 0, .max = 1 << 24},
       .category = kIdentity,
       .help = "Sequences of a micro-batch from then on; 0: as before."},
      {.name = "phases.learning_rate",
       .access = kMember<&Job::phases, &PhasesSpec::learning_rate>,
       .range = {.min = -1},
       .category = kIdentity,
       .help =
           "The learning rate at the beginning of the phase, from where it goes in a straight line "
           "to that of the next phase that gives one; -1: none given."},
  };
}

}  // namespace fulgur::declared
