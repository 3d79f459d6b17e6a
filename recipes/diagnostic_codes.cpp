#include <array>

#include "recipes/diagnostic.hpp"

namespace fulgur {

std::span<const DiagnosticCode> diagnostic_codes() noexcept {
  static constexpr auto kCodes = std::to_array<DiagnosticCode>({
      {"E0101", "the recipe cannot be read, is larger than 1 MiB, or is not UTF-8 text",
       "Recipes are small texts. Check the path, and that the file was saved as UTF-8 without "
       "control characters."},
      {"E0102", "the recipe is not YAML",
       "The line that is shown is where reading failed; the mistake is often just before it: a "
       "missing blank after a colon, a quote or bracket that is not closed, a tab for "
       "indentation."},
      {"E0103", "a recipe is one YAML document",
       "`---` starts a second document. Put each recipe into a file of its own; `extends` builds "
       "one on another."},
      {"E0104", "the recipe is nested too deeply, too large with its aliases, or refers to itself",
       "A few bytes of YAML can stand for millions of values. The limits are 64 levels and 100,000 "
       "values with aliases followed, and 10,000 elements for one list."},
      {"E0105", "a key stands twice in one mapping",
       "YAML forbids it, but most programs silently take one of the two. Decide which one counts."},
      {"E0106",
       "a feature of YAML that recipes do not have: tags, merge keys, keys that are no text",
       "Tags would let a file choose types, merge keys hide where a value comes from. Write the "
       "type as it is, and use `extends` or aliases of whole values."},
      {"E0107", "an unknown key",
       "Every key must be known, so that a misspelt one cannot pass for its default. `fulgur "
       "recipe schema` gives editors all keys; docs/recipe_reference.md explains them."},
      {"E0108", "a field that must be given is missing",
       "There is no default that would be right for everybody. Give the field, in the recipe, in "
       "one that it extends, or on the command line."},
      {"E0109", "a value of the wrong type",
       "What kind of value a field takes stands in docs/recipe_reference.md. Numbers stand without "
       "quotes, lists in brackets."},
      {"E0110", "a unit that does not exist or does not fit",
       "Units are checked: tokens, bytes and seconds cannot stand for each other. A plain number "
       "is always in the field's own unit."},
      {"E0111", "a number out of range",
       "The range stands in the message and in docs/recipe_reference.md."},
      {"E0112", "a text that is none of the choices",
       "Only the texts that are listed are known. They are written exactly so."},
      {"E0113", "an argument that is not of the form field=value",
       "Arguments behind the recipe set fields: field=value, +field=value (must be new), "
       "++field=value, ~field (takes it away)."},
      {"E0114", "an expression that cannot be read",
       "An expression stands between ${ and }; docs/recipe_language.md has the grammar. $${ stands "
       "for ${ itself."},
      {"E0115", "a name that stands for no field and no variable",
       "Expressions name fields in full, as train.batch, and variables as vars.name. Lists and "
       "whole sections cannot be named."},
      {"E0116", "values that refer to each other in a circle",
       "No value can be found for them. The places that are shown refer to each other: give one of "
       "them as a number."},
      {"E0117", "an operation that does not fit its operands, or a result that does not fit",
       "Tokens plus seconds mean nothing, nor does a text times two. Units go with plain numbers "
       "and with their own kind."},
      {"E0118", "expressions that are too long, too deep, or take too many steps",
       "Expressions are for arithmetic. The limits keep a recipe from taking the machine: 10,000 "
       "steps together, 4096 bytes and 64 levels each, 1000 variables, texts of 64 KiB."},
      {"E0119", "an environment variable that is not set, or must not be read",
       "What is read of the environment is recorded with the run, so variables with names as for "
       "secrets are never read. A fallback makes a recipe work where the variable is not set: "
       "${env:NAME:-8}."},
      {"E0121", "a base outside of the recipe's folder",
       "A recipe may only be made of files in its own folder and below, so that it can be copied "
       "with them, and so that a foreign recipe cannot read other files. Links count as where they "
       "lead."},
      {"E0122", "recipes that extend themselves, or too many of them",
       "Follow the `extends` that are shown: a recipe comes back to itself, or the row is deeper "
       "than 16, or more than 64 files are read."},
      {"E0123", "an override that adds what is there, or takes away what is not",
       "+ is for fields that the recipe does not give, ~ for those that it does. Without a sign a "
       "field is set in any case."},
      {"E0124", "a key for a secret",
       "Recipes are copied into run directories and checkpoints. Secrets belong into files that "
       "only you can read."},
      {"E0125", "a variable that nothing uses",
       "Most often it is misspelt, here or where it is used. An expression that another layer "
       "replaced counts as a use."},
      {"E0131", "a field in two axes of a sweep",
       "A combination takes one value of every axis, so one of the two would win."},
      {"E0132", "a zip of lists with different lengths",
       "The lists of a zip are walked together: each needs as many values as the others."},
      {"E0133", "a sweep that measures nothing",
       "A mean and how sure it is need at least two steps behind the warm-up."},
      {"E0134", "a sweep with too many combinations",
       "Every combination of the axes is checked and planned; layout: auto comes on top of them."},
      {"E0135", "a recipe without a sweep",
       "The section `sweep` says what fulgur sweep tries (docs/sweep.md)."},
      {"E0201", "heads cannot be shared evenly by the key and value heads",
       "Each key and value head is shared by heads / kv_heads heads, which must be a whole "
       "number."},
      {"E0202", "the rotary dimensions do not fit the head",
       "The rotary embedding turns pairs of dimensions, so their number is even, and not more than "
       "a head has."},
      {"E0203", "more experts per token than experts",
       "A router picks distinct experts for each token."},
      {"E0204", "a softmax layer that does not exist or stands there twice",
       "Layers count from 0; each can be listed once."},
      {"E0205", "a model too large to be counted",
       "The sizes multiply to more parameters than 2^62. One of them has probably a digit too "
       "many."},
      {"E0206", "a field that cannot be derived from the others",
       "A field that is left out is computed from others, and these do not allow it. Give it, or "
       "change them."},
      {"E0211", "the micro-batch does not divide the batch",
       "A step is made of whole micro-batches."},
      {"E0212", "the data-parallel ranks do not divide the micro-batch",
       "Every data-parallel rank takes as many sequences of each micro-batch as the others."},
      {"E0213", "more tokens than can be counted",
       "Tokens are counted in 64 bits. One of the numbers has probably a digit too many."},
      {"E0231", "an unknown tokenizer", "The tokenizers that there are stand in the message."},
      {"E0232", "a vocabulary smaller than the tokenizer's",
       "Every token needs its row in the embedding. More rows than tokens do no harm."},
      {"E0233", "no training data",
       "Give at least one file or pattern in data.files, or name sources with files in "
       "data.sources."},
      {"E0234", "a pattern of data files that matches nothing",
       "The pattern is relative to the file that gives it, on the command line to the current "
       "folder. See also data.exclude."},
      {"E0235", "a data file that cannot be read or is empty",
       "Every file is opened before anything starts, so that a run does not die of it later."},
      {"E0236", "a document separator that is no line",
       "Documents are cut at lines that equal the separator, so it cannot be longer than a line."},
      {"E0237", "training data in two forms",
       "Either data.files, one text, or data.sources, several side by side."},
      {"E0238", "lists of sources with different lengths",
       "Sources are a list of mappings; as lists of values, each has one element for each source."},
      {"E0239", "a name that is none for a source, or that two sources have",
       "Mixes and checkpoints know sources by their names: letters, digits and a few signs."},
      {"E0241", "a learning rate that would rise while it decays",
       "The decay goes from peak down to final."},
      {"E0242", "a learning-rate schedule whose parts do not follow each other",
       "The warm-up ends before the decay begins, and a decay that begins somewhere has a length."},
      {"E0243", "a mix without a weight above 0",
       "At least one source must be read from. Weights count in ratio to their sum."},
      {"E0244", "a source that is never read",
       "Its weight is 0 in every phase: a weight was forgotten, or the source is one too many."},
      {"E0250", "a variable that the workers' environment cannot have",
       "Variables are NAME=value. What fulgur sets for its workers cannot be set again, and what "
       "makes "
       "programs load code stands in no recipe."},
      {"E0251", "a name that is no file name",
       "The name becomes a folder in runs/: letters, digits and a few signs, no path."},
      {"E0252", "times of the cluster that contradict each other",
       "A worker counts as dead when it is silent for dead_after. Less than two heartbeats would "
       "bury the living."},
      {"E0253", "a cluster without a place for every worker",
       "Over ssh every worker takes a slot of a host that is not excluded. Under Slurm and "
       "Kubernetes "
       "the workers are shared evenly among the nodes."},
      {"E0254", "a sample without a prompt",
       "The model continues a prompt; without one there is nothing to continue."},
      {"E0255", "no directory for the run",
       "Checkpoints and logs go there. Leave the field away for runs/<name>."},
      {"E0256", "NCCL between processors",
       "NCCL moves tensors between GPUs only. Leave the transport to auto, or take ucx."},
      {"E0257", "a field whose change a resume cannot be allowed",
       "Only fixed fields need to be allowed, and not those that give the weights their shape."},
      {"E0258", "a precision that the device does not have",
       "bfloat16 needs the tensor cores of a GPU; the CPU calculates in float32 only."},
      {"E0259", "a text of the cluster that cannot stand in a command",
       "Names of hosts and nodes, and what Slurm is told, become parts of commands and of a batch "
       "script, so they are plain words. What fulgur sets itself cannot be given again."},
      {"E0260", "a time that is none", "Times are given in UTC, as 2026-01-31T08:00:00Z."},
      {"E0261", "more ranks than can be counted",
       "Ranks are counted in 32 bits. One of the axes has probably a digit too many."},
      {"E0262", "the ranks of the experts do not divide those of a pipeline stage",
       "The ranks of a pipeline stage, dp x cp x tp, are also the ranks of its experts, edp x ep x "
       "etp: ep x etp must divide them."},
      {"E0263", "the tensor-parallel ranks do not divide the heads",
       "Each tensor-parallel rank takes as many heads as the others."},
      {"E0264", "the tensor-parallel ranks do not divide the vocabulary",
       "Each tensor-parallel rank takes as many rows of the embedding as the others. Round the "
       "vocabulary up."},
      {"E0265", "key and value heads that can be neither cut nor copied evenly",
       "Either each rank takes some key and value heads, or some ranks hold copies of the same "
       "one: one of the two numbers must divide the other."},
      {"E0266", "the expert-parallel ranks do not divide the experts",
       "Each expert-parallel rank holds as many experts as the others."},
      {"E0267", "the tensor-parallel ranks of an expert do not divide its inner width",
       "Each of an expert's ranks takes as many of its inner columns as the others."},
      {"E0268", "a sequence with fewer tokens than chunks",
       "Each context-parallel rank takes some tokens of every sequence: one chunk, or two where "
       "the order is zigzag."},
      {"E0269", "fewer tokens on a rank than tensor-parallel ranks",
       "The tokens of a rank are shared out over its tensor-parallel ranks for the experts."},
      {"E0271", "a pipeline schedule that does not fit the virtual stages",
       "1f1b has one piece of the model on a stage, interleaved has several."},
      {"E0272", "interleaved pieces on a single stage",
       "Interleaving hides the waits between stages, and a single one has none."},
      {"E0273", "more pieces of the pipeline than layers", "Every piece needs a layer."},
      {"E0274", "a list of layers that does not fit the pieces of the pipeline",
       "Give one number for each of the pp x virtual_stages pieces."},
      {"E0275", "a list of layers that does not add up to the model's",
       "The numbers must add up to model.layers."},
      {"E0276", "a load-balancing loss over all layers with more than one pipeline stage",
       "This form of the loss looks at all layers at once, and no stage has all of them. Take "
       "gshard."},
      {"E0277", "more passes of a pipeline stage than can be listed",
       "The order of all passes is listed before the run, and this list would not fit. Take larger "
       "micro-batches."},
      {"E0281", "lists of phases with different lengths",
       "Phases are a list of mappings; as lists of values, each has one element for each phase."},
      {"E0282", "phases that do not follow each other",
       "Each phase begins after the one before it, in tokens from the start of training."},
      {"E0283", "a phase that changes nothing", "Give it a value besides `from`, or take it out."},
      {"E0284", "a learning rate below 0", "A phase that sets no rate leaves the key out."},
      {"E0285", "a learning-rate schedule that a phase cuts off",
       "From the first phase on that gives a learning rate, the phases set it alone."},
      {"E0286", "a mix with another number of weights than there are sources",
       "As a list, a mix has one weight for each source; as a mapping, it names them."},
      {"E0287", "additions that leave nothing of the mix",
       "Additions are shares of all samples, and the mix gets the rest."},
      {"E0288", "a transition between mixes that does not end, or leads nowhere",
       "The mix goes from mix_from to mix over mix_over tokens, which must be over before the "
       "additions or the next phase begin."},
      {"E0289", "additions outside of their phase",
       "They begin with the last fifth of the phase, which the last one does not have, or at "
       "addition_from."},
      {"E0291", "more ranks than the cluster has devices",
       "Every rank has a device of its own. Take fewer ranks or a larger cluster."},
      {"E0292", "arithmetic that the cluster's devices do not have",
       "Take another train.precision, or hardware that has it."},
      {"E0293", "a job that does not fit into the memory of a device",
       "The fullest rank must fit. Recompute more, take smaller micro-batches, or cut the model "
       "over "
       "more ranks; the message names changes that are enough."},
  });
  return kCodes;
}

}  // namespace fulgur
