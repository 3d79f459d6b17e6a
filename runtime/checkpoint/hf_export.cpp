#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <stdexcept>

#include "recipes/job_json.hpp"
#include "recipes/phases.hpp"
#include "runtime/checkpoint/hf.hpp"
#include "runtime/checkpoint/reader.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kPortion = std::int64_t{16} << 20;  // elements in memory at once
constexpr double kLightningNormEps = 1e-6;                 // transformers knows no other

using Sink = std::function<void(std::span<const float>)>;

struct Output {
  TensorRecord record;
  std::function<void(const Sink&)> write;

  std::int64_t bytes() const {
    return element_count(record) * static_cast<std::int64_t>(sizeof(float));
  }
};

// All tensors of the folder, by name, each with the way to its values.
class Outputs {
 public:
  Outputs(CheckpointReader& reader, const HfConfig& config, std::int64_t block)
      : reader_(reader), config_(config) {
    const auto& model = config.model;
    for (const auto& parameter : parameters(model, WeightDecayOn::kMatrices)) {
      const auto name = "model/" + parameter.name;
      if (reader.shape(name) != parameter.shape)
        throw CheckpointError(CheckpointError::Kind::kInvalid,
                              fmt::format("tensor `{}`: expected the shape [{}] of the job's model",
                                          name, fmt::join(parameter.shape, ", ")));
      for (auto& tensor : hf_tensors(model, parameter, HfNaming::kFiles))
        add(name, std::move(tensor));
    }
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
      if (attention_kind(model, layer) == AttentionKind::kLightning) add_buffers(layer, block);
    }
    std::sort(outputs_.begin(), outputs_.end(),
              [](const Output& a, const Output& b) { return a.record.name < b.record.name; });
  }

  std::span<const Output> all() const noexcept { return outputs_; }

 private:
  void add(const std::string& name, HfTensor tensor) {
    const bool reordered = config_.rotary == HfRotary::kProportional &&
                           (name.ends_with(".attention.q") || name.ends_with(".attention.k"));
    TensorRecord record{tensor.name, tensor.shape};
    outputs_.push_back({std::move(record), [=, this, tensor = std::move(tensor)](const Sink& sink) {
                          if (reordered) {
                            write_reordered(name, tensor, sink);
                          } else {
                            write_in_order(name, tensor, sink);
                          }
                        }});
  }

  void add_buffers(std::int64_t layer, std::int64_t block) {
    for (auto& buffer : hf_buffers(config_.model, layer, block))
      outputs_.push_back({{buffer.name, buffer.shape},
                          [values = std::move(buffer.values)](const Sink& sink) { sink(values); }});
  }

  void write_in_order(const std::string& name, const HfTensor& tensor, const Sink& sink) const {
    std::vector<float> portion;
    for (std::int64_t at = 0; at < tensor.count(); at += kPortion) {
      portion.resize(static_cast<std::size_t>(std::min(kPortion, tensor.count() - at)));
      reader_.read(name, tensor.begin + at, portion);
      sink(portion);
    }
  }

  // The rows of every head in their order: row t of theirs is the row of ours that goes there.
  void write_reordered(const std::string& name, const HfTensor& tensor, const Sink& sink) const {
    const auto d = config_.model.head_dim, C = config_.model.hidden;
    std::vector<std::int64_t> ours(static_cast<std::size_t>(d));
    for (std::int64_t row = 0; row < d; ++row)
      ours[static_cast<std::size_t>(hf_rotary_row(config_.model, config_.rotary, row))] = row;
    std::vector<float> values(static_cast<std::size_t>(C));
    for (std::int64_t row = 0; row < tensor.shape[0]; ++row) {
      reader_.read(name, (row / d * d + ours[static_cast<std::size_t>(row % d)]) * C, values);
      sink(values);
    }
  }

  CheckpointReader& reader_;
  HfConfig config_;
  std::vector<Output> outputs_;
};

// Consecutive tensors that fit into one file; a tensor that is larger has a file of its own.
std::vector<std::span<const Output>> cut_into_files(std::span<const Output> all,
                                                    std::int64_t max_bytes) {
  std::vector<std::span<const Output>> files;
  std::size_t begin = 0;
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i > begin && bytes + all[i].bytes() > max_bytes) {
      files.push_back(all.subspan(begin, i - begin));
      begin = i;
      bytes = 0;
    }
    bytes += all[i].bytes();
  }
  files.push_back(all.subspan(begin));
  return files;
}

void write_file(const fs::path& path, std::span<const Output> outputs) {
  std::vector<TensorRecord> records;
  for (const auto& output : outputs)
    records.push_back(output.record);
  SafetensorsWriter writer(path, records);
  for (const auto& output : outputs)
    output.write([&](std::span<const float> values) { writer.append(values); });
  writer.finish();
}

void write_tensors(const fs::path& folder, std::span<const Output> all, std::int64_t max_bytes) {
  const auto files = cut_into_files(all, max_bytes);
  if (files.size() == 1) {
    write_file(folder / "model.safetensors", all);
    return;
  }
  boost::json::object map;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, files.size());
    write_file(folder / name, files[i]);
    for (const auto& output : files[i]) {
      map[output.record.name] = name;
      total += output.bytes();
    }
  }
  const boost::json::object index{{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  write_text(folder / "model.safetensors.index.json", boost::json::serialize(index) + "\n");
}

std::vector<std::string> remarks_on(const ModelSpec& model) {
  std::vector<std::string> remarks;
  if (model.lightning_norm_eps != kLightningNormEps)
    remarks.push_back(fmt::format("model.lightning_norm_eps is {}; transformers always takes {}",
                                  model.lightning_norm_eps, kLightningNormEps));
  if (model.aux_loss_coef > 0 && model.aux_loss == AuxLoss::kGshard)
    remarks.push_back(
        "the auxiliary loss has the form gshard; transformers knows only mixtral, so "
        "that the exported model trains without");
  return remarks;
}

Job job_of(const CheckpointReader& reader, const fs::path& checkpoint) {
  try {
    return job_of_step(job_from_json(reader.manifest().job), reader.manifest().step);
  } catch (const std::invalid_argument& error) {
    fail_invalid(checkpoint / kManifestFile, std::string("`job`: ") + error.what());
  }
}

HfConfig config_of(const ModelSpec& model, const fs::path& checkpoint) {
  HfConfig config{.model = model};
  if (model.rotary_dim == model.head_dim) return config;
  if (model.head_dim % 2 != 0)
    fail_invalid(checkpoint, fmt::format("transformers cannot turn {} of {} dims of a head",
                                         model.rotary_dim, model.head_dim));
  config.rotary = HfRotary::kProportional;
  return config;
}

}  // namespace

std::vector<std::string> export_hf(const fs::path& checkpoint, const fs::path& folder,
                                   const HfExportOptions& options) {
  if (options.block < 1 || options.max_file_bytes < 1)
    throw std::invalid_argument("export_hf: block and max_file_bytes must be positive");
  std::error_code error;
  if (fs::exists(folder, error) &&
      !(fs::is_directory(folder, error) && fs::is_empty(folder, error)))
    fail_invalid(folder, "expected a folder that is empty or does not exist");
  CheckpointReader reader(checkpoint);
  const auto config = config_of(job_of(reader, checkpoint).model, checkpoint);
  const Outputs outputs(reader, config, options.block);

  const auto target = fs::absolute(folder).lexically_normal();
  const auto parent = (target.has_filename() ? target : target.parent_path()).parent_path();
  const auto name = (target.has_filename() ? target : target.parent_path()).filename();
  const auto staging = parent / (".tmp-" + name.string());
  remove_path(staging);
  create_folders(staging);
  try {
    write_tensors(staging, outputs.all(), options.max_file_bytes);
    write_text(staging / "config.json", hf_config_text(config, options.block));
    write_text(staging / "generation_config.json",
               "{\n  \"_from_model_config\": true,\n  \"use_cache\": true\n}\n");
    sync_folder(staging);
    rename_path(staging, parent / name);
  } catch (...) {
    fs::remove_all(staging, error);
    throw;
  }
  sync_folder(parent);
  return remarks_on(config.model);
}

}  // namespace fulgur
