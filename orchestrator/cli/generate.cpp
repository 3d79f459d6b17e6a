#include <fmt/format.h>

#include <stdexcept>

#include "orchestrator/cli/commands.hpp"
#include "orchestrator/cli/usage_error.hpp"
#include "orchestrator/run/single_task.hpp"
#include "runtime/checkpoint/inspect.hpp"

namespace fulgur {

int run_command(const GenerateOptions& options) {
  const auto checkpoint = find_checkpoint(options.where);
  auto job = describe_checkpoint(checkpoint).job;
  constexpr std::int64_t kTokens = 200;  // of a recipe without a sample
  auto& sample = job.sample;
  if (sample.tokens == 0) sample.tokens = kTokens;
  sample.prompt = options.prompt.value_or(sample.prompt);
  sample.tokens = options.tokens.value_or(sample.tokens);
  sample.temperature = options.temperature.value_or(sample.temperature);
  sample.top_p = options.top_p.value_or(sample.top_p);
  sample.seed = options.seed.value_or(sample.seed);
  if (sample.prompt.empty()) throw UsageError("generate: give a --prompt, the recipe has none");
  SingleTask task;
  task.task = "generate";
  task.job = std::move(job);
  task.checkpoint = checkpoint;
  return run_single_task(task);
}

}  // namespace fulgur
