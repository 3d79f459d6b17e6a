#include "recipes/cost/rank_shape.hpp"

#include <algorithm>
#include <cmath>

#include "recipes/token_runs.hpp"

namespace fulgur {

RankShape rank_shape(const Job& job, std::int64_t document) {
  const auto& model = job.model;
  const auto& layout = job.layout;
  const TokenGrid grid{.sequences = job.train.micro_batch,
                       .length = job.train.sequence_length,
                       .dp = layout.dp,
                       .cp = layout.cp,
                       .tp = layout.tp,
                       .order = job.context.order};
  std::int64_t tokens = 0;
  for (int cp = 0; cp < layout.cp; ++cp)
    tokens = std::max(tokens, row_count(grid, cp));
  const auto sequences = grid.sequences / grid.dp;
  const auto chunks_here = chunks_per_sequence(grid) / layout.cp;
  const bool apart = layout.ep * layout.etp > 1;
  return {.sequences = sequences,
          .length = grid.length,
          .document = document > 0 ? std::min(document, grid.length) : grid.length,
          .tokens = tokens,
          .rows = (tokens + layout.tp - 1) / layout.tp,
          .heads = model.heads / layout.tp,
          .kv_heads = std::max<std::int64_t>(1, model.kv_heads / layout.tp),
          .inner = model.expert_hidden / layout.etp,
          .local_experts = model.experts / layout.ep,
          .vocabulary = model.vocabulary / layout.tp,
          .state_slots = layout.cp > 1 ? chunks_here * sequences : 0,
          .token_groups = apart ? std::max<std::int64_t>(1, job.experts.token_groups) : 1,
          .hidden = model.hidden,
          .head_dim = model.head_dim,
          .experts = model.experts,
          .experts_per_token = model.experts_per_token,
          .has_capacity = model.capacity_factor > 0,
          .layout = layout,
          .order = job.context.order,
          .lightning = job.context.lightning,
          .recompute = job.memory.recompute,
          .activation_bytes = job.train.precision == Precision::kBFloat16 ? 2 : 4};
}

std::int64_t RankShape::received_rows(double imbalance) const {
  if (layout.ep == 1) return sent_rows();  // all experts are here: nothing to be uneven
  return static_cast<std::int64_t>(std::ceil(static_cast<double>(sent_rows()) * imbalance));
}

std::int64_t RankShape::worked_rows(double imbalance) const {
  return received_rows(imbalance) * layout.etp;
}

}  // namespace fulgur
