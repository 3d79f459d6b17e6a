#pragma once

#include <filesystem>
#include <string>

#include "recipes/job.hpp"

namespace fulgur {

// How a model's rotary embedding lies in a head of theirs.
enum class HfRotary {
  // The first rotary_dim dims, as ours; for rotary_dim = head_dim this is transformers' own.
  kPrefix,
  // "rope_type": "proportional": pairs (j, j + head_dim / 2) for all j, with angle 0 from
  // j = rotary_dim / 2 on. It is the only way in which transformers' MiniMax turns a part of a head.
  // The rows of q and k stand in another order, and the base counts per head_dim.
  kProportional,
};

struct HfConfig {
  ModelSpec model;
  HfRotary rotary = HfRotary::kPrefix;
};

// Reads config.json of a Hugging Face folder: transformers' MiniMax, or the original MiniMax-Text-01.
// Where a field is missing, transformers' default stands. lightning_norm_eps is 1e-6, as transformers
// has it; the auxiliary loss has the mixtral form, and its coefficient counts only with
// output_router_logits. What changes training only (dropout, router jitter) is left out.
//
// Throws CheckpointError::Kind::kInvalid for a model that cannot be represented, naming the field.
HfConfig read_hf_config(const std::filesystem::path& folder);

// The text of a config.json for transformers. `block` is only how transformers cuts its computation.
std::string hf_config_text(const HfConfig& config, std::int64_t block);

// The row of theirs for row `row` of a head of ours, 0 <= row < head_dim.
std::int64_t hf_rotary_row(const ModelSpec& model, HfRotary rotary, std::int64_t row);

}  // namespace fulgur
