#pragma once

#include <filesystem>
#include <optional>

namespace fulgur {

// How a recorded run is to differ from ordinary training.
struct Recording {
  // Gradients of micro-batches add up in double precision (gradient_sums.hpp). One rank only.
  bool double_sums = false;
  // The checkpoints of a recorded run: its choices of experts are taken at near ties
  // (routing_reference.hpp).
  std::optional<std::filesystem::path> reference = {};
};

}  // namespace fulgur
