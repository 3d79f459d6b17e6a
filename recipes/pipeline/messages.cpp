#include "recipes/pipeline/messages.hpp"

namespace fulgur {
namespace {

bool is_input(PipeEnd end) {
  return end == PipeEnd::kActivationsIn || end == PipeEnd::kGradientsIn;
}

bool is_activations(PipeEnd end) {
  return end == PipeEnd::kActivationsIn || end == PipeEnd::kActivationsOut;
}

bool takes_part(PassKind kind, bool activations) {
  if (activations) return kind == PassKind::kForward;
  return kind == PassKind::kBackward || kind == PassKind::kBackwardInput;
}

}  // namespace

int peer_stage(const PipelineShape& shape, int stage, PipeEnd end) {
  const bool next = end == PipeEnd::kActivationsOut || end == PipeEnd::kGradientsIn;
  return (stage + (next ? 1 : shape.stages - 1)) % shape.stages;
}

std::vector<Message> pipe_messages(const PipelineShape& shape, int stage,
                                   std::span<const Pass> passes, PipeEnd end) {
  std::vector<Message> messages;
  if (shape.stages == 1) return messages;
  const bool activations = is_activations(end);
  for (std::size_t i = 0; i < passes.size(); ++i) {
    if (!takes_part(passes[i].kind, activations)) continue;
    const int piece = piece_of(shape, stage, passes[i]);
    // The piece at the other end: forward messages go up by one, gradients down by one.
    const int other = is_input(end) == activations ? piece - 1 : piece + 1;
    if (other < 0 || other >= shape.pieces()) continue;
    messages.push_back({passes[i].micro_batch, is_input(end) ? other : piece, i});
  }
  return messages;
}

}  // namespace fulgur
