#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cluster/wire/messages.hpp"

namespace fulgur {

// A run of which every step was recorded: what the workers reported, and a checkpoint per step below
// `checkpoints` with the tensors of the step in the order of their computation, "forward/..." before
// "gradient/...".
struct RecordedRun {
  std::filesystem::path checkpoints;
  std::vector<StepDone> steps;
};

// The errors that two right runs may have between them. Both compute in float32, whose rounding is
// u = 6e-8, and add the same terms up in another order: n terms differ by about u sqrt(n), and what goes
// through l layers in a row by about sqrt(l) times as much. A gradient has gone through the layers twice,
// and is a sum over all tokens in which large terms cancel.
inline constexpr double kLossError = 1e-5;     // relative; the auxiliary loss too
inline constexpr double kForwardError = 1e-5;  // relative norm, times sqrt(1 + layer)
inline constexpr double kGradientError =
    1e-4;  // relative norm, of every tensor; the global norm too

// The names of the quantities that are tensors.
inline constexpr const char* kForwardPass = "forward pass";
inline constexpr const char* kGradients = "gradients";

// Something that was compared, where it came nearest to its bound or farthest beyond.
struct ComparedQuantity {
  std::string name;  // kForwardPass, "router counts", "loss", ...
  double error = 0;
  double allowed = 0;
  std::int64_t step = 0;
  std::string where;  // the tensor, or the router of a layer; empty for sums
};

struct Comparison {
  std::vector<ComparedQuantity> quantities;
  std::optional<ComparedQuantity>
      first;  // the first in the order of computation that is beyond its bound
  // Tokens of all layers and steps: within kNearTie in the reference, and of these the ones that the run
  // would have sent elsewhere, had it not taken the choice of the reference.
  std::int64_t near_ties = 0, replayed = 0;
};

// Compares the values of all logical tensors, reading both checkpoints piece by piece; all sums are in
// double precision. Router counts and drop rates must be equal.
//
// Throws CheckpointError when a step is missing or its tensors are not those of the reference, and
// std::invalid_argument when the runs have not the same number of steps.
Comparison compare_runs(const RecordedRun& reference, const RecordedRun& run,
                        std::int64_t experts_per_token);

// "forward/layers.2.attention.micro_batch.0" -> "forward pass: layer 2, attention, micro-batch 0".
std::string describe_tensor(const std::string& tensor);

}  // namespace fulgur
