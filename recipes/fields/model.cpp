#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "recipes/fields/declared.hpp"

namespace fulgur::declared {
namespace {

void derive_head_dim(Job& job) {
  auto& m = job.model;
  if (m.hidden % m.heads != 0) {
    throw std::invalid_argument(
        fmt::format("hidden {} is not divisible by heads {}: give head_dim, or change one of them",
                    m.hidden, m.heads));
  }
  m.head_dim = m.hidden / m.heads;
}

void derive_deepnorm(Job& job, double ModelSpec::*alpha) {
  job.model.*alpha = std::pow(2.0 * static_cast<double>(job.model.layers), 0.25);
}

std::vector<Field> size_fields() {
  return {
      {.name = "model.vocabulary",
       .access = kMember<&Job::model, &ModelSpec::vocabulary>,
       .presence = kRequired,
       .unit = Unit::kCount,
       .range = from_one_to(1 << 24),
       .category = kIdentity,
       .help =
           "Rows of the embedding and of the output head; at least the tokenizer's vocabulary."},
      {.name = "model.layers",
       .access = kMember<&Job::model, &ModelSpec::layers>,
       .presence = kRequired,
       .range = from_one_to(10000),
       .category = kIdentity,
       .help = "Decoder layers, each an attention block and a mixture of experts."},
      {.name = "model.hidden",
       .access = kMember<&Job::model, &ModelSpec::hidden>,
       .presence = kRequired,
       .unit = Unit::kCount,
       .range = from_one_to(1 << 18),
       .category = kIdentity,
       .help = "Width of the residual stream."},
      {.name = "model.heads",
       .access = kMember<&Job::model, &ModelSpec::heads>,
       .presence = kRequired,
       .range = from_one_to(1 << 14),
       .category = kIdentity,
       .help = "Attention heads."},
      {.name = "model.head_dim",
       .access = kMember<&Job::model, &ModelSpec::head_dim>,
       .presence = kDerived,
       .range = from_one_to(1 << 13),
       .category = kIdentity,
       .help = "Size of a head; heads x head_dim need not be hidden.",
       .derivation = "hidden / heads",
       .inputs = {"model.hidden", "model.heads"},
       .derive = derive_head_dim},
      {.name = "model.kv_heads",
       .access = kMember<&Job::model, &ModelSpec::kv_heads>,
       .presence = kDerived,
       .range = from_one_to(1 << 14),
       .category = kIdentity,
       .help = "Key and value heads of softmax attention, each shared by heads / kv_heads heads.",
       .derivation = "heads",
       .inputs = {"model.heads"},
       .derive = [](Job& job) { job.model.kv_heads = job.model.heads; }},
  };
}

std::vector<Field> position_fields() {
  return {
      {.name = "model.rotary_dim",
       .access = kMember<&Job::model, &ModelSpec::rotary_dim>,
       .presence = kDerived,
       .range = {.min = 0, .max = 1 << 13},
       .category = kIdentity,
       .help =
           "How many dimensions of a head the rotary embedding turns (softmax attention); even.",
       .derivation = "half of head_dim, rounded down to an even number",
       .inputs = {"model.head_dim"},
       .derive = [](Job& job) { job.model.rotary_dim = job.model.head_dim / 4 * 2; }},
      {.name = "model.rope_base",
       .access = kMember<&Job::model, &ModelSpec::rope_base>,
       .range = {.min = 1, .open_min = true},
       .category = kIdentity,
       .help = "Base of the rotary frequencies."},
      {.name = "model.softmax_every",
       .access = kMember<&Job::model, &ModelSpec::softmax_every>,
       .range = from_one_to(10001),
       .category = kIdentity,
       .help = "Every n-th layer has softmax attention, the others lightning attention."},
      {.name = "model.softmax_layers",
       .access = kMember<&Job::model, &ModelSpec::softmax_layers>,
       .range = {.min = 0, .max = 9999},
       .category = kIdentity,
       .help = "The layers with softmax attention by number, from 0; then softmax_every does not "
               "count."},
  };
}

}  // namespace

std::vector<Field> model_fields() {
  auto all = size_fields();
  const auto rest = position_fields();
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

std::vector<Field> expert_fields() {
  return {
      {.name = "model.experts",
       .access = kMember<&Job::model, &ModelSpec::experts>,
       .presence = kRequired,
       .range = from_one_to(1 << 14),
       .category = kIdentity,
       .help = "Experts per layer."},
      {.name = "model.experts_per_token",
       .access = kMember<&Job::model, &ModelSpec::experts_per_token>,
       .range = from_one_to(1 << 14),
       .category = kIdentity,
       .help = "How many of them work on a token."},
      {.name = "model.expert_hidden",
       .access = kMember<&Job::model, &ModelSpec::expert_hidden>,
       .presence = kRequired,
       .unit = Unit::kCount,
       .range = from_one_to(1 << 20),
       .category = kIdentity,
       .help = "Inner width of an expert."},
      {.name = "model.aux_loss_coef",
       .access = kMember<&Job::model, &ModelSpec::aux_loss_coef>,
       .range = kNotNegative,
       .category = kIdentity,
       .help = "Weight of the loss that balances the experts: its value at perfect balance, a mean "
               "over "
               "layers (Megatron sums over them: divide its coefficient by the layers)."},
      {.name = "model.aux_loss",
       .access = kMember<&Job::model, &ModelSpec::aux_loss>,
       .category = kIdentity,
       .help =
           "Its form: gshard per layer, mixtral over all layers together as Hugging Face has it."},
      {.name = "model.capacity_factor",
       .access = kMember<&Job::model, &ModelSpec::capacity_factor>,
       .range = {.min = 0, .max = 1 << 14},
       .category = kIdentity,
       .help =
           "An expert takes at most this many times its even share of a micro-batch's tokens and "
           "drops the rest, first come first served; 0: it takes all."},
  };
}

std::vector<Field> norm_fields() {
  constexpr std::string_view kDeepNorm = "(2 layers)^(1/4)";
  return {
      {.name = "model.norm_eps",
       .access = kMember<&Job::model, &ModelSpec::norm_eps>,
       .range = kPositive,
       .category = kIdentity,
       .help = "Epsilon of the norms."},
      {.name = "model.lightning_norm_eps",
       .access = kMember<&Job::model, &ModelSpec::lightning_norm_eps>,
       .range = kPositive,
       .category = kIdentity,
       .help = "Epsilon of the norm inside lightning attention."},
      {.name = "model.lightning_alpha",
       .access = kMember<&Job::model, &ModelSpec::lightning_alpha>,
       .presence = kDerived,
       .category = kIdentity,
       .help = "y = alpha norm(x) + beta block(norm(x)) for lightning attention.",
       .derivation = kDeepNorm,
       .inputs = {"model.layers"},
       .derive = [](Job& job) { derive_deepnorm(job, &ModelSpec::lightning_alpha); }},
      {.name = "model.lightning_beta",
       .access = kMember<&Job::model, &ModelSpec::lightning_beta>,
       .category = kIdentity,
       .help = "See lightning_alpha."},
      {.name = "model.softmax_alpha",
       .access = kMember<&Job::model, &ModelSpec::softmax_alpha>,
       .presence = kDerived,
       .category = kIdentity,
       .help = "The same for softmax attention.",
       .derivation = kDeepNorm,
       .inputs = {"model.layers"},
       .derive = [](Job& job) { derive_deepnorm(job, &ModelSpec::softmax_alpha); }},
      {.name = "model.softmax_beta",
       .access = kMember<&Job::model, &ModelSpec::softmax_beta>,
       .category = kIdentity,
       .help = "See softmax_alpha."},
      {.name = "model.moe_alpha",
       .access = kMember<&Job::model, &ModelSpec::moe_alpha>,
       .presence = kDerived,
       .category = kIdentity,
       .help = "The same for the mixture of experts.",
       .derivation = kDeepNorm,
       .inputs = {"model.layers"},
       .derive = [](Job& job) { derive_deepnorm(job, &ModelSpec::moe_alpha); }},
      {.name = "model.moe_beta",
       .access = kMember<&Job::model, &ModelSpec::moe_beta>,
       .category = kIdentity,
       .help = "See moe_alpha."},
  };
}

}  // namespace fulgur::declared
