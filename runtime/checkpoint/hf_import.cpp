#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "recipes/job_json.hpp"
#include "recipes/lightning_decay.hpp"
#include "runtime/checkpoint/hf.hpp"
#include "runtime/checkpoint/shard_writer.hpp"
#include "runtime/checkpoint/writer.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

constexpr double kDecayTolerance = 1e-6;
constexpr std::int64_t kPortion = std::int64_t{16} << 20;  // elements in memory at once

std::vector<Parameter> parameters_of(const ModelSpec& model) {
  return parameters(model, WeightDecayOn::kMatrices);  // what decays does not matter here
}

}  // namespace

ModelSpec import_hf_config(const fs::path& folder) {
  return read_hf_config(folder).model;
}

HfModel::HfModel(const fs::path& folder) : config_(read_hf_config(folder)), tensors_(folder) {
  check_tensors();
  for (std::int64_t layer = 0; layer < model().layers; ++layer) {
    if (attention_kind(model(), layer) == AttentionKind::kLightning) check_decay(layer);
  }
}

std::vector<HfTensor> HfModel::find(const Parameter& parameter) const {
  auto stacked = hf_tensors(model(), parameter, HfNaming::kMemory);
  if (tensors_.has(stacked.front().name)) return stacked;
  return hf_tensors(model(), parameter, HfNaming::kFiles);
}

void HfModel::check_tensors() const {
  std::set<std::string, std::less<>> known;
  for (const auto& parameter : parameters_of(model())) {
    for (const auto& tensor : find(parameter)) {
      const auto& entry = tensors_.entry(tensor.name);
      if (entry.shape != tensor.shape)
        fail_invalid(
            tensors_.path_of(tensor.name),
            fmt::format("tensor `{}`: expected the shape [{}] that config.json says, got [{}]",
                        tensor.name, fmt::join(tensor.shape, ", "), fmt::join(entry.shape, ", ")));
      known.insert(tensor.name);
    }
  }
  for (const auto& [name, entry] : tensors_.tensors()) {
    if (!known.contains(name) && !is_hf_buffer(name))
      fail_invalid(tensors_.path_of(name),
                   fmt::format("tensor `{}`: the model that config.json describes has none", name));
  }
}

void HfModel::check_decay(std::int64_t layer) const {
  const auto name = fmt::format("model.layers.{}.self_attn.slope_rate", layer);
  if (!tensors_.has(name)) return;
  const auto rates = tensors_.floats(name);
  if (static_cast<std::int64_t>(rates.size()) != model().heads)
    fail_invalid(tensors_.path_of(name), fmt::format("tensor `{}`: expected {} rates, got {}", name,
                                                     model().heads, rates.size()));
  for (std::int64_t head = 0; head < model().heads; ++head) {
    const double expected = lightning_decay_rate(model(), layer, head);
    const double got = static_cast<double>(rates[static_cast<std::size_t>(head)]);
    if (!(std::abs(got - expected) <= kDecayTolerance * std::max(1.0, expected)))
      fail_invalid(tensors_.path_of(name),
                   fmt::format("tensor `{}`: head {} decays at the rate {}, ours is {}", name, head,
                               got, expected));
  }
}

bool HfModel::is_reordered(const Parameter& parameter) const {
  return config_.rotary == HfRotary::kProportional &&
         (parameter.name.ends_with(".attention.q") || parameter.name.ends_with(".attention.k"));
}

std::vector<float> HfModel::read_parameter(const Parameter& parameter) const {
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(parameter.count()));
  read_parameter(parameter, [&](std::span<const float> portion) {
    values.insert(values.end(), portion.begin(), portion.end());
  });
  return values;
}

void HfModel::read_parameter(const Parameter& parameter, const Sink& sink) const {
  const bool reordered = is_reordered(parameter);
  const auto d = model().head_dim, C = model().hidden;
  std::vector<float> portion;
  const auto read = [&](const std::string& name, std::int64_t begin, std::int64_t count) {
    portion.resize(static_cast<std::size_t>(count));
    tensors_.read(name, begin, portion);
    sink(portion);
  };
  for (const auto& tensor : find(parameter)) {
    for (std::int64_t at = 0; !reordered && at < tensor.count(); at += kPortion)
      read(tensor.name, at, std::min(kPortion, tensor.count() - at));
    for (std::int64_t row = 0; reordered && row < tensor.shape[0]; ++row) {
      const auto theirs = row / d * d + hf_rotary_row(model(), config_.rotary, row % d);
      read(tensor.name, theirs * C, C);
    }
  }
}

fs::path import_hf(const fs::path& folder, const fs::path& root, Job job) {
  const HfModel source(folder);
  job.model = source.model();
  Manifest manifest{.step = 0, .job = to_json(job), .identity_hash = identity_hash(job)};
  std::vector<PieceRange> ranges;
  const auto all = parameters_of(job.model);
  for (const auto& parameter : all) {
    manifest.tensors.push_back({"model/" + parameter.name, parameter.shape});
    ranges.push_back({manifest.tensors.back().name, whole_box(parameter.shape)});
  }
  const auto staging = staging_folder(root, manifest.step);
  ShardWriter writer(staging, 0, ranges);
  for (const auto& parameter : all)
    source.read_parameter(parameter, [&](std::span<const float> values) { writer.append(values); });
  manifest.shards.push_back(writer.finish());
  return commit_checkpoint(root, staging, manifest, job.checkpoint.keep);
}

}  // namespace fulgur
