#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur::test {

// A line of metrics.jsonl without what a clock said.
struct StepLine {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  double loss = 0, aux_loss = 0, gradient_norm = 0, learning_rate = 0;

  friend bool operator==(const StepLine&, const StepLine&) = default;
};

// The bits of every tensor of a checkpoint: weights and the optimizer's state.
using Bits = std::map<std::string, std::vector<std::uint32_t>>;

// The recipe of a model of 15 thousand parameters on two workers, in a directory of its own with a text to
// train on: recipe.yaml and text.txt. A step takes milliseconds. The run directory is run/.
class TinyRun {
 public:
  TinyRun();

  const std::filesystem::path& folder() const noexcept { return folder_.path(); }
  std::filesystem::path recipe() const { return folder() / "recipe.yaml"; }
  std::filesystem::path directory() const { return folder() / "run"; }
  std::filesystem::path checkpoint(std::int64_t step) const;

  // What `fulgur` gets on top of this process's environment.
  void set_environment(std::map<std::string, std::string> environment) {
    environment_ = std::move(environment);
  }

  // `fulgur` with these arguments, started in folder(), so that relative paths lead into it.
  std::unique_ptr<Program> start(std::vector<std::string> arguments) const;
  // The same to its end.
  Outcome fulgur(std::vector<std::string> arguments) const;

  // `fulgur train recipe.yaml --set ...` with these overrides.
  std::unique_ptr<Program> start_training(const std::vector<std::string>& overrides = {}) const;
  Outcome train(const std::vector<std::string>& overrides = {}) const;
  // The same with so many steps.
  Outcome train_to(std::int64_t steps) const;

  // Steps of committed checkpoints, ascending.
  std::vector<std::int64_t> checkpoints() const;
  std::vector<StepLine> metrics() const;
  Bits bits(std::int64_t step) const;

 private:
  TemporaryDirectory folder_;
  std::map<std::string, std::string> environment_;
};

bool contains(const std::string& text, const std::string& part);

// Waits until the run has a committed checkpoint, which it then has left behind by some steps.
bool is_under_way(const TinyRun& run);

// An undisturbed run of so many steps.
std::unique_ptr<TinyRun> undisturbed(std::int64_t steps);

// Whether two runs took the same steps with the same numbers, and have the same checkpoint of their last.
void check_same(const TinyRun& a, const TinyRun& b, std::int64_t steps);

// Whether no process has its working directory in the run's folder, or ceases to soon.
bool all_gone(const TinyRun& run);

// The text of every file below `directory`, by its path.
std::map<std::string, std::string> snapshot(const std::filesystem::path& directory);

// Flips a bit in the middle of a file.
void damage(const std::filesystem::path& file);

}  // namespace fulgur::test
