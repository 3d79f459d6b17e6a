#include "recipes/fields/declared.hpp"

namespace fulgur::declared {

std::vector<Field> data_fields() {
  return {
      {.name = "data.tokenizer",
       .access = kMember<&Job::data, &DataSpec::tokenizer>,
       .category = kIdentity,
       .help = "bytes: every byte is a token and 256 ends a document, a vocabulary of 257."},
      {.name = "data.files",
       .access = kMember<&Job::data, &DataSpec::files>,
       .help =
           "Text files or patterns of them (*, ?, [...]), relative to the recipe's folder (on the "
           "command line: to the current one). Either they or data.sources."},
      {.name = "data.exclude",
       .access = kMember<&Job::data, &DataSpec::exclude>,
       .help = "Patterns of files to leave out: of the name, or with a / of the whole path."},
      {.name = "data.document_separator",
       .access = kMember<&Job::data, &DataSpec::document_separator>,
       .category = kIdentity,
       .help = "A line that ends a document; empty: every file is one document."},
  };
}

std::vector<Field> source_fields() {
  return {
      {.name = "data.sources.name",
       .access = kMember<&Job::data, &DataSpec::sources, &DataSourcesSpec::name>,
       .category = kIdentity,
       .help = "What mixes call the source, and checkpoints its position in it."},
      {.name = "data.sources.files",
       .access = kMember<&Job::data, &DataSpec::sources, &DataSourcesSpec::files>,
       .help = "The source's text files or patterns of them, as in data.files."},
      {.name = "data.sources.weight",
       .access = kMember<&Job::data, &DataSpec::sources, &DataSourcesSpec::weight>,
       .range = kNotNegative,
       .category = kIdentity,
       .help =
           "The source's part of the samples, where no phase gives a mix: in ratio to the sum of "
           "all weights. In a list of sources 1 unless given."},
  };
}

std::vector<Field> train_fields() {
  return {
      {.name = "train.steps",
       .access = kMember<&Job::train, &TrainSpec::steps>,
       .presence = kRequired,
       .unit = Unit::kCount,
       .range = from_one_to(1e12),
       .help = "The run ends after this step, counted from the start of training."},
      {.name = "train.sequence_length",
       .access = kMember<&Job::train, &TrainSpec::sequence_length>,
       .presence = kRequired,
       .unit = Unit::kTokens,
       .range = from_one_to(1 << 26),
       .category = kIdentity,
       .help = "Tokens per sequence."},
      {.name = "train.batch",
       .access = kMember<&Job::train, &TrainSpec::batch>,
       .presence = kRequired,
       .unit = Unit::kCount,
       .range = from_one_to(1 << 24),
       .category = kIdentity,
       .help = "Sequences per step."},
      {.name = "train.micro_batch",
       .access = kMember<&Job::train, &TrainSpec::micro_batch>,
       .presence = kDerived,
       .unit = Unit::kCount,
       .range = from_one_to(1 << 24),
       .category = kIdentity,
       .help =
           "Sequences that all ranks together process in one forward and backward; the experts are "
           "balanced over them, so it is no matter of layout.",
       .derivation = "batch",
       .inputs = {"train.batch"},
       .derive = [](Job& job) { job.train.micro_batch = job.train.batch; }},
      {.name = "train.precision",
       .access = kMember<&Job::train, &TrainSpec::precision>,
       .category = Category::kLayout,
       .help =
           "float32; or bfloat16, on GPUs: weights and activations in bfloat16, everything that "
           "adds up (master weights, gradients, router, norms, states, loss) in float32."},
      {.name = "train.cuda_graphs",
       .access = kMember<&Job::train, &TrainSpec::cuda_graphs>,
       .help =
           "Whether a GPU gets the kernels of a layer as one graph, recorded when they come for "
           "the "
           "second time. auto: when the ranks exchange nothing within a layer (tp, cp, ep, etp and "
           "pp are 1, and no capacity); never: kernel by kernel."},
      {.name = "train.seed",
       .access = kMember<&Job::train, &TrainSpec::seed>,
       .range = kExact,
       .category = kIdentity,
       .help = "Of the initial weights and the order of the data."},
  };
}

std::vector<Field> learning_rate_fields() {
  return {
      {.name = "optimizer.learning_rate.peak",
       .access = kMember<&Job::optimizer, &OptimizerSpec::learning_rate, &LearningRateSpec::peak>,
       .presence = kRequired,
       .range = kPositive,
       .category = kIdentity,
       .help = "The learning rate after the warm-up."},
      {.name = "optimizer.learning_rate.final",
       .access = kMember<&Job::optimizer, &OptimizerSpec::learning_rate, &LearningRateSpec::final>,
       .range = kNotNegative,
       .category = kIdentity,
       .help = "Where the decay ends."},
      {.name = "optimizer.learning_rate.warmup_tokens",
       .access = kMember<&Job::optimizer, &OptimizerSpec::learning_rate,
                         &LearningRateSpec::warmup_tokens>,
       .unit = Unit::kTokens,
       .range = kExact,
       .category = kIdentity,
       .help = "Length of the linear warm-up from 0."},
      {.name = "optimizer.learning_rate.decay_from",
       .access =
           kMember<&Job::optimizer, &OptimizerSpec::learning_rate, &LearningRateSpec::decay_from>,
       .unit = Unit::kTokens,
       .range = kExact,
       .category = kIdentity,
       .help = "Where the cosine decay from peak to final begins."},
      {.name = "optimizer.learning_rate.decay_tokens",
       .access =
           kMember<&Job::optimizer, &OptimizerSpec::learning_rate, &LearningRateSpec::decay_tokens>,
       .unit = Unit::kTokens,
       .range = kExact,
       .category = kIdentity,
       .help = "Its length; 0: the learning rate stays at peak."},
  };
}

std::vector<Field> optimizer_fields() {
  return {
      {.name = "optimizer.beta1",
       .access = kMember<&Job::optimizer, &OptimizerSpec::beta1>,
       .range = kBelowOne,
       .category = kIdentity,
       .help = "AdamW's decay of the mean gradient."},
      {.name = "optimizer.beta2",
       .access = kMember<&Job::optimizer, &OptimizerSpec::beta2>,
       .range = kBelowOne,
       .category = kIdentity,
       .help = "AdamW's decay of the mean squared gradient."},
      {.name = "optimizer.eps",
       .access = kMember<&Job::optimizer, &OptimizerSpec::eps>,
       .range = kPositive,
       .category = kIdentity,
       .help = "AdamW's epsilon."},
      {.name = "optimizer.weight_decay",
       .access = kMember<&Job::optimizer, &OptimizerSpec::weight_decay>,
       .range = kNotNegative,
       .category = kIdentity,
       .help = "Decoupled weight decay, times the learning rate per step."},
      {.name = "optimizer.decay_on",
       .access = kMember<&Job::optimizer, &OptimizerSpec::decay_on>,
       .category = kIdentity,
       .help = "What decays: matrices leaves the norms' weights alone."},
      {.name = "optimizer.clip_norm",
       .access = kMember<&Job::optimizer, &OptimizerSpec::clip_norm>,
       .range = kNotNegative,
       .category = kIdentity,
       .help = "The gradient is scaled down to this norm when it is longer; 0: never."},
      {.name = "optimizer.bucket",
       .access = kMember<&Job::optimizer, &OptimizerSpec::bucket>,
       .unit = Unit::kCount,
       .range = from_one_to(1e10),
       .category = Category::kLayout,
       .help = "Elements that one reduction of gradients, or one gathering of weights, moves at a "
               "time, while the rest is still computed."},
  };
}

}  // namespace fulgur::declared
