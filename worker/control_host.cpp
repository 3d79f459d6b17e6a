#include "worker/control_host.hpp"

#include "runtime/checkpoint/folders.hpp"
#include "runtime/checkpoint/shard_notes.hpp"

namespace fulgur {

void ControlHost::report(const StepReport& report) {
  client_.send(StepDone{.step = report.step,
                        .tokens = report.tokens,
                        .loss = report.loss,
                        .aux_loss = report.aux_loss,
                        .gradient_norm = report.gradient_norm,
                        .learning_rate = report.learning_rate,
                        .seconds = report.seconds,
                        .tokens_per_second = report.tokens_per_second,
                        .drop_rate = report.drop_rate,
                        .local_drop_rate = report.local_drop_rate,
                        .replayed = report.replayed,
                        .expert_counts = report.expert_counts});
}

void ControlHost::shard_written(const Manifest& manifest, int rank, const ShardRecord& shard) {
  auto mine = manifest;
  mine.shards = {shard};
  const auto folder = staging_folder(checkpoints_, manifest.step);
  client_.send(ShardWritten{.step = manifest.step, .sha256 = write_shard_note(folder, rank, mine)});
}

void ControlHost::shard_failed(std::int64_t step, int /*rank*/, const std::string& reason) {
  client_.send(ShardFailed{.step = step, .reason = reason});
}

}  // namespace fulgur
