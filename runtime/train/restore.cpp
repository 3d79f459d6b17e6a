#include "runtime/train/restore.hpp"

#include <fmt/format.h>

#include "recipes/job_json.hpp"
#include "runtime/checkpoint/reader.hpp"

namespace fulgur {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& checkpoint, const std::string& reason) {
  throw CheckpointError(CheckpointError::Kind::kInvalid, checkpoint.string() + ": " + reason);
}

std::span<float> values(const Tensor& tensor) {
  return {tensor.as<float>(), static_cast<std::size_t>(tensor.count())};
}

}  // namespace

Progress restore(const Job& job, const std::filesystem::path& checkpoint, const Corpus& corpus,
                 std::span<const OwnedRange> owned) {
  CheckpointReader reader(checkpoint);
  const auto& manifest = reader.manifest();
  if (manifest.identity_hash != identity_hash(job)) {
    std::string differences;
    for (const auto& [field, then, now] : identity_differences(job_from_json(manifest.job), job))
      differences += fmt::format("; {} was {}, is {}", field, then, now);
    refuse(checkpoint, "was written by another job" + differences);
  }
  const auto fingerprint = fmt::format("{:016x}", corpus.fingerprint());
  if (manifest.data_fingerprint != fingerprint) {
    refuse(checkpoint, fmt::format("the training text has changed since (fingerprint {}, now {})",
                                   manifest.data_fingerprint, fingerprint));
  }
  for (const auto& range : owned) {
    const auto& name = range.parameter->name;
    reader.read("model/" + name, range.begin, values(range.weight));
    reader.read("exp_avg/" + name, range.begin, values(range.exp_avg));
    reader.read("exp_avg_sq/" + name, range.begin, values(range.exp_avg_sq));
  }
  return {.step = manifest.step, .samples = manifest.samples, .tokens = manifest.tokens};
}

}  // namespace fulgur
