#include "tests/end_to_end/tiny_run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstring>
#include <fstream>
#include <sstream>

#include "runtime/checkpoint/reader.hpp"
#include "tests/support/processes.hpp"

namespace fulgur::test {

namespace fs = std::filesystem;

namespace {

constexpr const char* kRecipe = R"(name: tiny
run_directory: run
device: cpu

model:
  vocabulary: 257
  layers: 2
  softmax_every: 2
  hidden: 16
  heads: 2
  kv_heads: 1
  rotary_dim: 4
  experts: 3
  experts_per_token: 2
  expert_hidden: 16
  aux_loss_coef: 0.01

data:
  files: [text.txt]
  document_separator: "%"

train:
  steps: 6
  sequence_length: 32 tokens
  batch: 4
  micro_batch: 4
  seed: 1

optimizer:
  learning_rate:
    peak: 3e-3
    warmup_tokens: 512
    decay_from: 512
    decay_tokens: 4096
    final: 1e-3

layout:
  dp: 2

checkpoint:
  every: 4
  keep: 3
)";

void write_text(const fs::path& path) {
  std::ofstream file(path);
  for (int number = 1; number <= 4000; ++number) {
    file << "The square of " << number << " is " << number * number << ".\n";
    if (number % 7 == 0) file << "%\n";
  }
}

std::vector<std::uint32_t> bits_of(CheckpointReader& reader, const TensorRecord& tensor) {
  std::vector<float> values(static_cast<std::size_t>(element_count(tensor)));
  reader.read(tensor.name, 0, values);
  std::vector<std::uint32_t> bits(values.size());
  std::memcpy(bits.data(), values.data(), values.size() * sizeof(float));
  return bits;
}

}  // namespace

TinyRun::TinyRun() {
  std::ofstream(recipe()) << kRecipe;
  write_text(folder() / "text.txt");
}

fs::path TinyRun::checkpoint(std::int64_t step) const {
  return checkpoint_folder(directory() / "checkpoints", step);
}

std::unique_ptr<Program> TinyRun::start(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), FULGUR_PROGRAM);
  auto environment = environment_;
  environment["FULGUR_WORKER"] = FULGUR_WORKER_PROGRAM;
  return std::make_unique<Program>(std::move(arguments), folder(), environment);
}

Outcome TinyRun::fulgur(std::vector<std::string> arguments) const {
  return start(std::move(arguments))->wait();
}

std::unique_ptr<Program> TinyRun::start_training(const std::vector<std::string>& overrides) const {
  std::vector<std::string> arguments{"train", "recipe.yaml"};
  for (const auto& each : overrides) {
    arguments.emplace_back("--set");
    arguments.push_back(each);
  }
  return start(std::move(arguments));
}

Outcome TinyRun::train(const std::vector<std::string>& overrides) const {
  return start_training(overrides)->wait();
}

Outcome TinyRun::train_to(std::int64_t steps) const {
  return train({"train.steps=" + std::to_string(steps)});
}

std::vector<std::int64_t> TinyRun::checkpoints() const {
  std::vector<std::int64_t> steps;
  for (const auto& each : list_checkpoints(directory() / "checkpoints"))
    steps.push_back(each.step);
  return steps;
}

std::vector<StepLine> TinyRun::metrics() const {
  std::vector<StepLine> lines;
  std::istringstream text(read_text(directory() / "metrics.jsonl"));
  for (std::string line; std::getline(text, line);) {
    const auto value = boost::json::parse(line);
    const auto number = [&](const char* name) { return value.at(name).to_number<double>(); };
    lines.push_back({.step = value.at("step").as_int64(),
                     .tokens = value.at("tokens").as_int64(),
                     .loss = number("loss"),
                     .aux_loss = number("aux_loss"),
                     .gradient_norm = number("gradient_norm"),
                     .learning_rate = number("learning_rate")});
  }
  return lines;
}

Bits TinyRun::bits(std::int64_t step) const {
  CheckpointReader reader(checkpoint(step));
  const auto tensors = reader.manifest().tensors;
  Bits all;
  for (const auto& tensor : tensors)
    all[tensor.name] = bits_of(reader, tensor);
  return all;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool is_under_way(const TinyRun& run) {
  if (!eventually([&] { return !run.checkpoints().empty(); })) return false;
  const auto saved = run.checkpoints().back();
  return eventually([&] {
    const auto text = read_text(run.directory() / "metrics.jsonl");
    return std::count(text.begin(), text.end(), '\n') > saved;
  });
}

std::unique_ptr<TinyRun> undisturbed(std::int64_t steps) {
  auto run = std::make_unique<TinyRun>();
  const auto outcome = run->train_to(steps);
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  return run;
}

void check_same(const TinyRun& a, const TinyRun& b, std::int64_t steps) {
  REQUIRE(a.metrics().size() == static_cast<std::size_t>(steps));
  CHECK(a.metrics() == b.metrics());
  const auto expected = a.bits(steps);
  REQUIRE(expected.contains("model/embedding"));
  REQUIRE(expected.contains("exp_avg_sq/embedding"));
  CHECK(expected == b.bits(steps));
}

bool all_gone(const TinyRun& run) {
  return eventually([&] { return processes_in(run.folder()).empty(); }, std::chrono::seconds(10));
}

std::map<std::string, std::string> snapshot(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    files[entry.path().string()] = entry.is_regular_file() ? read_text(entry.path()) : "";
  return files;
}

void damage(const fs::path& file) {
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  const auto middle = static_cast<std::streamoff>(fs::file_size(file) / 2);
  stream.seekg(middle);
  const int byte = stream.get();
  stream.seekp(middle);
  stream.put(static_cast<char>(byte ^ 1));
}

}  // namespace fulgur::test
