#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "recipes/job.hpp"
#include "recipes/parameters.hpp"
#include "runtime/checkpoint/hf_config.hpp"
#include "runtime/checkpoint/hf_tensors.hpp"
#include "runtime/checkpoint/safetensors.hpp"

namespace fulgur {

// Models in the form of Hugging Face transformers (MiniMaxForCausalLM): a folder with config.json and
// safetensors files. Both ways go tensor by tensor; a model is never in memory as a whole.

// The model that config.json of a folder describes (see read_hf_config for what stands where it is
// silent). Throws CheckpointError::Kind::kInvalid for a model that we cannot represent.
ModelSpec import_hf_config(const std::filesystem::path& folder);

// A Hugging Face folder, read by our parameters.
class HfModel {
 public:
  // Checks that the files hold every parameter of the model with its shape and nothing else, and that the
  // decay rates in them, where there are some, are ours to 1e-6. Throws CheckpointError.
  explicit HfModel(const std::filesystem::path& folder);

  const ModelSpec& model() const noexcept { return config_.model; }

  // The values of a parameter of model(), in our order.
  std::vector<float> read_parameter(const Parameter& parameter) const;

  using Sink = std::function<void(std::span<const float>)>;
  // The same in portions, for parameters that are large.
  void read_parameter(const Parameter& parameter, const Sink& sink) const;

 private:
  std::vector<HfTensor> find(const Parameter& parameter) const;
  void check_tensors() const;
  void check_decay(std::int64_t layer) const;
  bool is_reordered(const Parameter& parameter) const;

  HfConfig config_;
  SafetensorsReader tensors_;
};

// Writes the model of a Hugging Face folder as a committed checkpoint of step 0 below `root`: one shard
// with the tensors model/..., no optimizer. A run can start from it (init), but not resume it. `job` says
// all but the model. Returns the checkpoint. Throws CheckpointError.
std::filesystem::path import_hf(const std::filesystem::path& folder,
                                const std::filesystem::path& root, Job job);

struct HfExportOptions {
  std::int64_t block = 256;                       // transformers' lightning attention, tokens
  std::int64_t max_file_bytes = 5'000'000'000LL;  // a larger model is cut into several files
};

// Writes the model of a checkpoint as a folder that transformers loads: model.safetensors (or several
// and an index), config.json, generation_config.json. The folder must not exist or be empty; it appears
// when it is complete. Throws CheckpointError.
//
// Returns remarks for the user: what transformers cannot express, so that its model differs from ours.
std::vector<std::string> export_hf(const std::filesystem::path& checkpoint,
                                   const std::filesystem::path& folder,
                                   const HfExportOptions& options = {});

}  // namespace fulgur
