#include "runtime/train/step_recorder.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "kernels/transfer.hpp"
#include "recipes/parameters.hpp"
#include "runtime/checkpoint/folders.hpp"
#include "runtime/train/owned_boxes.hpp"

namespace fulgur {
namespace {

std::string gradient_name(const Parameter& parameter) {
  return "gradient/" + parameter.name;
}

bool is_recorded(const std::string& operation, std::int64_t step) {
  return step == 1 || operation.ends_with(".router");
}

}  // namespace

std::string forward_name(const std::string& operation, std::int64_t micro_batch) {
  return fmt::format("forward/{}.micro_batch.{}", operation, micro_batch);
}

std::vector<TensorRecord> recorded_tensors(const Job& job, std::int64_t step) {
  const auto& train = job.train;
  std::vector<TensorRecord> tensors;
  for (const auto& shape : activation_shapes(job.model)) {
    if (!is_recorded(shape.operation, step)) continue;
    for (std::int64_t m = 0; m < train.batch / train.micro_batch; ++m) {
      tensors.push_back({forward_name(shape.operation, m),
                         {train.micro_batch, train.sequence_length, shape.width}});
    }
  }
  const auto all = parameters(job.model, job.optimizer.decay_on);
  for (auto parameter = all.rbegin(); parameter != all.rend(); ++parameter)
    tensors.push_back({gradient_name(*parameter), parameter->shape});
  return tensors;
}

StepRecorder::StepRecorder(const Job& job, const Mesh& mesh, std::span<const OwnedRange> owned,
                           Host& host, const Recording& recording)
    : job_(job), mesh_(mesh), owned_(owned), host_(host) {
  if (recording.reference) reference_.emplace(*recording.reference, mesh);
  if (!recording.double_sums) return;
  if (world_size(job.layout) > 1)
    throw std::invalid_argument("record: sums in double precision are for one rank");
  sums_.emplace(owned);
}

void StepRecorder::prepare(StepData& data, std::int64_t step, Stream& stream) {
  data.observe = [this, step, &stream](const Activation& activation) {
    if (is_recorded(activation.operation, step)) observe(activation, stream);
  };
  if (reference_) data.reference = reference_->of_step(step);
  if (!sums_) return;
  data.after_backward = [this, last = data.micro_batches - 1, &stream](std::int64_t micro_batch) {
    sums_->take(stream);
    if (micro_batch == last) sums_->give(stream);
  };
}

void StepRecorder::add(PieceRange range, std::span<const float> values) {
  ranges_.push_back(std::move(range));
  values_.insert(values_.end(), values.begin(), values.end());
}

// A run of tokens is a box of the micro-batch.
void StepRecorder::observe(const Activation& activation, Stream& stream) {
  const auto values = download<float>(activation.values, stream);
  const auto width = activation.values.dims[1];
  const auto [pp, dp, cp, tp] = mesh_.dense();
  for (const auto& run : token_runs(activation.batch.grid, dp, cp, tp)) {
    if (run.count() == 0) continue;
    add({.tensor = forward_name(activation.operation, activation.micro_batch),
         .box = {.start = {run.sequence, run.begin, 0}, .count = {1, run.count(), width}}},
        std::span(values).subspan(static_cast<std::size_t>(run.row * width),
                                  static_cast<std::size_t>(run.count() * width)));
  }
}

void StepRecorder::save(Manifest manifest, Stream& stream) {
  for (const auto& range : owned_) {
    const auto values = download<float>(range.gradient, stream);
    std::span<const float> rest(values);
    for (auto& box : owned_boxes(range)) {
      const auto count = static_cast<std::size_t>(box.elements());
      add({.tensor = gradient_name(range.parameter->parameter), .box = std::move(box)},
          rest.first(count));
      rest = rest.subspan(count);
    }
  }
  manifest.tensors = recorded_tensors(job_, manifest.step);
  const auto root = std::filesystem::path(job_.run_directory) / "checkpoints";
  ShardWriter writer(staging_folder(root, manifest.step), mesh_.rank().value(), ranges_);
  writer.append(values_);
  const auto shard = writer.finish();
  ranges_.clear();
  values_.clear();
  host_.shard_written(manifest, mesh_.rank().value(), shard);
  if (!host_.wait_for_commit(manifest.step)) {
    throw CheckpointError(
        CheckpointError::Kind::kInvalid,
        fmt::format("the ranks do not hold every recorded value of step {} exactly once",
                    manifest.step));
  }
}

}  // namespace fulgur
