#pragma once

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runtime/checkpoint/hf.hpp"
#include "runtime/data/sampler.hpp"

namespace fulgur::test {

using Ids = std::vector<std::int32_t>;

// A case folder of the golden test; README.md says what the files hold.
class GoldenCase {
  HfModel hf_;
  SafetensorsReader tensors_;

  static std::vector<double> numbers(const boost::json::value& list) {
    std::vector<double> values;
    for (const auto& value : list.as_array())
      values.push_back(value.to_number<double>());
    return values;
  }

 public:
  ModelSpec model;
  OptimizerSpec optimizer;
  std::vector<double> losses, norms;  // per step
  double final_loss = 0;

  static constexpr std::int64_t kGreedyTokens = 24;  // that greedy decoding has added

  explicit GoldenCase(const std::filesystem::path& folder)
      : hf_(folder), tensors_(folder / "golden.safetensors"), model(hf_.model()) {
    std::ifstream in(folder / "golden.json");
    const auto facts = boost::json::parse(std::string(std::istreambuf_iterator<char>(in), {}));
    losses = numbers(facts.at("loss_per_step"));
    norms = numbers(facts.at("grad_norm_before_clip_per_step"));
    final_loss = facts.at("final_loss").to_number<double>();
    const auto& adamw = facts.at("optimizer");
    const auto betas = numbers(adamw.at("betas"));
    optimizer = {.learning_rate = {.peak = adamw.at("lr").to_number<double>()},
                 .beta1 = betas.at(0),
                 .beta2 = betas.at(1),
                 .eps = adamw.at("eps").to_number<double>(),
                 .weight_decay = adamw.at("weight_decay").to_number<double>(),
                 .decay_on = WeightDecayOn::kAll,
                 .clip_norm = adamw.at("clip_grad_norm").to_number<double>()};
  }

  int num_steps() const { return static_cast<int>(losses.size()); }

  std::vector<float> weights(const Parameter& parameter) const {
    return hf_.read_parameter(parameter);
  }
  std::vector<float> tensor(const std::string& name) const { return tensors_.floats(name); }

  // Empty when the case holds none.
  std::vector<float> gradient(const Parameter& parameter) const {
    std::vector<float> all;
    for (const auto& part : hf_tensors(model, parameter, HfNaming::kMemory)) {
      if (!tensors_.has("grad." + part.name)) return {};
      const auto values = tensors_.floats("grad." + part.name);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }
  Ids greedy() const {
    if (!tensors_.has("greedy")) return {};
    const auto ids = tensors_.integers("greedy");
    return {ids.begin(), ids.end()};
  }

  // The sequences of a step.
  std::vector<Ids> input(int step) const {
    const auto ids = tensors_.integers("input_ids");
    const auto& shape = tensors_.entry("input_ids").shape;  // [steps, batch, seq]
    const auto length = shape.at(2);
    std::vector<Ids> sequences;
    for (std::int64_t b = 0; b < shape.at(1); ++b) {
      const auto begin = ids.begin() + (step * shape.at(1) + b) * length;
      sequences.emplace_back(begin, begin + length);
    }
    return sequences;
  }

  // Every sequence is one document; the label of a token is the next one, the last token has none.
  static std::vector<Sample> samples(const std::vector<Ids>& sequences) {
    std::vector<Sample> samples;
    for (const auto& ids : sequences) {
      Ids labels(ids.begin() + 1, ids.end());
      labels.push_back(-1);
      samples.push_back({.ids = ids,
                         .labels = std::move(labels),
                         .starts = {0, static_cast<std::int32_t>(ids.size())}});
    }
    return samples;
  }
};

}  // namespace fulgur::test
