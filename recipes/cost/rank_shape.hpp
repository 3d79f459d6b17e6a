#pragma once

#include <cstdint>

#include "recipes/job.hpp"

namespace fulgur {

// What the planner assumes where a run depends on its data.
struct Assumptions {
  // Rows that the fullest rank's experts get, over the mean: 1 is even routing.
  double imbalance = 1.2;
  // Tokens of a document, the mean of what a token finds itself in; 0: one fills a sequence.
  std::int64_t document = 0;
};

// The sizes of what one rank works on in a micro-batch, with the letters of docs/math.md. Ranks of a
// stage differ by a token and by routing: this is the fullest.
struct RankShape {
  // On this rank.
  std::int64_t sequences = 1;
  std::int64_t length = 1;    // N of each, before cp cuts it
  std::int64_t document = 1;  // tokens that attend to each other
  std::int64_t tokens = 1;    // T, inside attention
  std::int64_t rows = 1;      // between blocks, where tp cuts them
  std::int64_t heads = 1;     // H
  std::int64_t kv_heads = 1;  // G
  std::int64_t inner = 1;     // F / etp
  std::int64_t local_experts = 1;
  std::int64_t vocabulary = 1;
  std::int64_t state_slots = 0;  // chunk states of lightning attention that cross cp
  std::int64_t token_groups = 1;

  // Of the model.
  std::int64_t hidden = 1, head_dim = 1, experts = 1, experts_per_token = 1;
  bool has_capacity = false;

  Layout layout;
  ContextOrder order = ContextOrder::kZigzag;
  LightningContext lightning = LightningContext::kLaspPlus;
  Recompute recompute = Recompute::kNone;
  int activation_bytes = 4;  // of an element

  std::int64_t attention_width() const { return heads * head_dim; }  // A
  std::int64_t qkv_width() const { return (heads + 2 * kv_heads) * head_dim; }
  bool experts_apart() const { return layout.ep * layout.etp > 1; }

  // Rows of a token group: those that a rank sends (the most), those that reach its experts over ep, and
  // R, those that its experts work on, gathered over etp.
  std::int64_t group_tokens() const { return (rows + token_groups - 1) / token_groups; }
  std::int64_t sent_rows() const { return group_tokens() * experts_per_token; }
  std::int64_t received_rows(double imbalance) const;
  std::int64_t worked_rows(double imbalance) const;
};

// REQUIRES: a job that keeps the rules.
RankShape rank_shape(const Job& job, std::int64_t document = 0);

}  // namespace fulgur
