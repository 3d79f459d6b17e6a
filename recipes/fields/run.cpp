#include "recipes/fields/declared.hpp"

namespace fulgur::declared {

std::vector<Field> run_fields() {
  return {
      {.name = "name",
       .access = kMember<&Job::name>,
       .presence = kRequired,
       .help = "The run's name; its directory is named after it."},
      {.name = "run_directory",
       .access = kMember<&Job::run_directory>,
       .presence = kDerived,
       .help = "Where checkpoints and logs of the run go; one run at a time.",
       .derivation = "`runs/<name>`",
       .inputs = {"name"},
       .derive = [](Job& job) { job.run_directory = "runs/" + job.name; }},
      {.name = "device",
       .access = kMember<&Job::device>,
       .help = "Where the workers compute; auto takes a GPU when there is one."},
  };
}

std::vector<Field> operation_fields() {
  return {
      {.name = "checkpoint.every",
       .access = kMember<&Job::checkpoint, &CheckpointSpec::every>,
       .unit = Unit::kCount,
       .range = kExact,
       .help = "Steps between checkpoints; 0: only at the end and when the run is stopped."},
      {.name = "checkpoint.keep",
       .access = kMember<&Job::checkpoint, &CheckpointSpec::keep>,
       .range = from_one_to(1000000),
       .help = "How many checkpoints stay; older ones are deleted."},
      {.name = "resume.allow_change",
       .access = kMember<&Job::resume, &ResumeSpec::allow_change>,
       .help =
           "Fixed fields, by their full names, that may differ from those of the checkpoint that "
           "the run goes on from; `--allow-change` adds to them."},
  };
}

std::vector<Field> sample_fields() {
  return {
      {.name = "sample.prompt",
       .access = kMember<&Job::sample, &GenerateSpec::prompt>,
       .help = "At the end of the run the model continues this text."},
      {.name = "sample.tokens",
       .access = kMember<&Job::sample, &GenerateSpec::tokens>,
       .unit = Unit::kTokens,
       .range = {.min = 0, .max = 1 << 20},
       .help = "By so many tokens; 0: no sample."},
      {.name = "sample.temperature",
       .access = kMember<&Job::sample, &GenerateSpec::temperature>,
       .range = {.min = 0, .max = 100},
       .help = "1: as the model says; below: bolder; 0: always the likeliest token."},
      {.name = "sample.top_p",
       .access = kMember<&Job::sample, &GenerateSpec::top_p>,
       .range = {.min = 0, .max = 1, .open_min = true},
       .help = "Only the likeliest tokens that together have this probability."},
      {.name = "sample.seed",
       .access = kMember<&Job::sample, &GenerateSpec::seed>,
       .range = kExact,
       .help = "Of the sample."},
  };
}

}  // namespace fulgur::declared
