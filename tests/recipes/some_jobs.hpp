#pragma once

#include <cmath>

#include "recipes/job.hpp"

namespace fulgur::test {

// The released model (arXiv 2501.08313).
inline ModelSpec minimax_text_01() {
  ModelSpec model;
  model.vocabulary = 200064;
  model.layers = 80;
  model.hidden = 6144;
  model.heads = 64;
  model.kv_heads = 8;
  model.head_dim = 128;
  model.rotary_dim = 64;
  model.softmax_every = 8;
  model.experts = 32;
  model.experts_per_token = 2;
  model.expert_hidden = 9216;
  model.lightning_alpha = model.softmax_alpha = model.moe_alpha = std::pow(160.0, 0.25);
  return model;
}

// A job that keeps all rules.
inline Job small_job() {
  Job job;
  job.name = "small";
  job.run_directory = "runs/small";
  job.device = DeviceKind::kCpu;
  job.model = minimax_text_01();
  job.model.vocabulary = 264;
  job.model.layers = 4;
  job.model.softmax_every = 4;
  job.model.hidden = 64;
  job.model.heads = 4;
  job.model.kv_heads = 2;
  job.model.head_dim = 16;
  job.model.rotary_dim = 8;
  job.model.experts = 4;
  job.model.expert_hidden = 48;
  job.data.files = {"/data/a.txt", "/data/b.txt"};
  job.data.document_separator = "%";
  job.train = {
      .steps = 20, .sequence_length = 128, .batch = 8, .micro_batch = 4, .seed = 18446744073709};
  job.optimizer.learning_rate = {.peak = 1e-3, .final = 1e-4, .warmup_tokens = 2048};
  job.layout.dp = 2;
  return job;
}

}  // namespace fulgur::test
