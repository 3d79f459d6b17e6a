#include "runtime/train/restore.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "kernels/transfer.hpp"
#include "recipes/job_json.hpp"
#include "runtime/train/owned_boxes.hpp"

namespace fulgur {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& checkpoint, const std::string& reason) {
  throw CheckpointError(CheckpointError::Kind::kInvalid, checkpoint.string() + ": " + reason);
}

// Fills an owned range of `to` from a logical tensor.
void read_range(CheckpointReader& reader, const std::string& tensor, const OwnedRange& range,
                const Tensor& to, Stream& stream) {
  std::vector<float> values(static_cast<std::size_t>(to.count()));
  std::span<float> rest(values);
  for (const auto& box : owned_boxes(range)) {
    const auto count = static_cast<std::size_t>(box.elements());
    reader.read(tensor, box, rest.first(count));
    rest = rest.subspan(count);
  }
  upload(std::move(values), to, stream);
}

}  // namespace

Progress restore(const Job& job, const std::filesystem::path& checkpoint, Mixture& data,
                 std::span<const OwnedRange> owned, Stream& stream) {
  CheckpointReader reader(checkpoint);
  const auto& manifest = reader.manifest();
  if (manifest.identity_hash != identity_hash(job)) {
    std::string changes;
    for (const auto& each : forbidden_differences(job_from_json(manifest.job), job))
      changes += fmt::format("; {} was {}, is {}", each.field, each.a, each.b);
    if (!changes.empty()) refuse(checkpoint, "was written by another job" + changes);
  }
  data.resume(manifest.data, manifest.tokens);
  for (const auto& range : owned) {
    const auto& name = range.parameter->parameter.name;
    read_range(reader, "model/" + name, range, range.weight, stream);
    read_range(reader, "exp_avg/" + name, range, range.exp_avg, stream);
    read_range(reader, "exp_avg_sq/" + name, range, range.exp_avg_sq, stream);
  }
  return {.step = manifest.step, .tokens = manifest.tokens};
}

void read_weights(CheckpointReader& reader, const ParameterSet& parameters, Stream& stream) {
  for (const auto& flat : parameters.flats()) {
    for (const auto& local : flat.parameters) {
      std::vector<float> values(static_cast<std::size_t>(local.count()));
      reader.read("model/" + local.parameter.name, Box{local.part.start, local.part.count}, values);
      upload(std::move(values), flat.weight.slice(0, local.offset, local.count()), stream);
    }
  }
}

}  // namespace fulgur
