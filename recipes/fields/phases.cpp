#include "recipes/fields/declared.hpp"

namespace fulgur::declared {
namespace {

template <auto Axis>
Field phase_layout_field(std::string_view name, std::string_view help) {
  return {.name = name,
          .access = kMember<&Job::phases, &PhasesSpec::layout, Axis>,
          .range = {.min = 0, .max = 65536},
          .category = Category::kLayout,
          .help = help};
}

}  // namespace

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
      {.name = "phases.rope_base",
       .access = kMember<&Job::phases, &PhasesSpec::rope_base>,
       .range = kNotNegative,
       .category = kIdentity,
       .help = "The base of rotary positions from then on, as model.rope_base; 0: as before."},
  };
}

std::vector<Field> phase_mix_fields() {
  return {
      {.name = "phases.mix",
       .access = kMember<&Job::phases, &PhasesSpec::mix>,
       .range = kNotNegative,
       .category = kIdentity,
       .help =
           "Weights of the sources from then on, in the order of data.sources; in a list of phases "
           "also a mapping of names, where those left out weigh nothing. Empty: as before."},
      {.name = "phases.mix_from",
       .access = kMember<&Job::phases, &PhasesSpec::mix_from>,
       .range = kNotNegative,
       .category = kIdentity,
       .help =
           "The weights that the transition to phases.mix begins with; empty: those at the end of "
           "the phase before."},
      {.name = "phases.mix_over",
       .access = kMember<&Job::phases, &PhasesSpec::mix_over>,
       .unit = Unit::kTokens,
       .range = kExact,
       .category = kIdentity,
       .help =
           "The mix goes to phases.mix in a straight line over so many tokens from the beginning "
           "of the phase; 0: at once."},
      {.name = "phases.addition",
       .access = kMember<&Job::phases, &PhasesSpec::addition>,
       .range = kBelowOne,
       .category = kIdentity,
       .help = "Shares of all samples that sources have in the last part of the phase; the rest is "
               "divided as phases.mix says. Written as phases.mix is; empty: none."},
      {.name = "phases.addition_from",
       .access = kMember<&Job::phases, &PhasesSpec::addition_from>,
       .unit = Unit::kTokens,
       .range = kExact,
       .category = kIdentity,
       .help =
           "When so many tokens have been seen the additions begin; 0: for the last fifth of the "
           "phase."},
  };
}

std::vector<Field> phase_layout_fields() {
  return {
      phase_layout_field<&PhaseLayouts::pp>("phases.layout.pp",
                                            "Pipeline stages from then on; 0: as before. With "
                                            "another layout the phase before ends in "
                                            "a checkpoint, and other workers go on from it."),
      phase_layout_field<&PhaseLayouts::dp>("phases.layout.dp",
                                            "Data-parallel ranks; 0: as before."),
      phase_layout_field<&PhaseLayouts::cp>("phases.layout.cp",
                                            "Context-parallel ranks; 0: as before."),
      phase_layout_field<&PhaseLayouts::tp>("phases.layout.tp",
                                            "Tensor-parallel ranks; 0: as before."),
      phase_layout_field<&PhaseLayouts::ep>("phases.layout.ep",
                                            "Expert-parallel ranks; 0: as before."),
      phase_layout_field<&PhaseLayouts::etp>("phases.layout.etp",
                                             "Tensor-parallel ranks of an expert; 0: as before."),
  };
}

}  // namespace fulgur::declared
