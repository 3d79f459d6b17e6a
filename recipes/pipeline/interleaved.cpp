#include "recipes/pipeline/interleaved.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <utility>

namespace fulgur {
namespace {

constexpr std::int64_t kForwardTicks = 1;
constexpr std::int64_t kBackwardTicks = 2;
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// Forwards before the first backward of a stage; one more is the most in flight.
int warm_up(const PipelineShape& shape, int stage) {
  return 2 * (shape.stages - stage - 1) + (shape.virtual_stages - 1) * shape.stages;
}

std::vector<Pass> even_schedule(const PipelineShape& shape, int stage) {
  const auto order = interleaved_order(shape);
  const auto total = order.forwards.size();
  const auto ahead = std::min(total, static_cast<std::size_t>(warm_up(shape, stage)));
  std::vector<Pass> passes(order.forwards.begin(),
                           order.forwards.begin() + static_cast<std::ptrdiff_t>(ahead));
  passes.reserve(2 * total);
  for (std::size_t backward = 0; backward < total; ++backward) {
    if (backward + ahead < total) passes.push_back(order.forwards[backward + ahead]);
    passes.push_back(order.backwards[backward]);
  }
  return passes;
}

// Deals out the passes of all stages, tick by tick.
class Dealer {
 public:
  explicit Dealer(const PipelineShape& shape)
      : shape_(shape),
        order_(interleaved_order(shape)),
        stages_(static_cast<std::size_t>(shape.stages)),
        outputs_(stages_.size() * order_.forwards.size(), kNever),
        gradients_(outputs_.size(), kNever) {}

  std::vector<Pass> passes_of(int stage) {
    const auto total = order_.forwards.size();
    auto& wanted = stages_[static_cast<std::size_t>(stage)];
    for (std::int64_t now = 0; wanted.backwards < total; ++now) {
      bool works = false;
      for (int s = 0; s < shape_.stages; ++s) {
        auto& other = stages_[static_cast<std::size_t>(s)];
        if (other.busy_until <= now) start_next(s, now);
        works = works || other.busy_until > now;
      }
      if (!works) throw std::logic_error("interleaved schedule: all stages wait");
    }
    return std::move(wanted.passes);
  }

 private:
  struct Stage {
    std::vector<Pass> passes;
    std::size_t forwards = 0, backwards = 0;  // started
    std::int64_t busy_until = 0;
  };

  // When the pass of a piece on a micro-batch has ended.
  std::int64_t& end(std::vector<std::int64_t>& ends, int piece, int micro_batch) {
    return ends[static_cast<std::size_t>(piece) * static_cast<std::size_t>(shape_.micro_batches) +
                static_cast<std::size_t>(micro_batch)];
  }

  bool forward_can_start(int s, std::int64_t now) {
    const auto& stage = stages_[static_cast<std::size_t>(s)];
    if (stage.forwards == order_.forwards.size()) return false;
    const auto in_flight = stage.forwards - stage.backwards;
    if (in_flight > static_cast<std::size_t>(warm_up(shape_, s))) return false;
    const auto& pass = order_.forwards[stage.forwards];
    const int piece = piece_of(shape_, s, pass);
    return piece == 0 || end(outputs_, piece - 1, pass.micro_batch) <= now;
  }

  bool backward_can_start(int s, std::int64_t now) {
    const auto& stage = stages_[static_cast<std::size_t>(s)];
    if (stage.backwards == order_.backwards.size()) return false;
    const auto& pass = order_.backwards[stage.backwards];
    const int piece = piece_of(shape_, s, pass);
    if (end(outputs_, piece, pass.micro_batch) > now) return false;
    return piece == shape_.pieces() - 1 || end(gradients_, piece + 1, pass.micro_batch) <= now;
  }

  void start_next(int s, std::int64_t now) {
    auto& stage = stages_[static_cast<std::size_t>(s)];
    if (forward_can_start(s, now)) {
      const auto& pass = order_.forwards[stage.forwards++];
      stage.busy_until = now + kForwardTicks;
      end(outputs_, piece_of(shape_, s, pass), pass.micro_batch) = stage.busy_until;
      stage.passes.push_back(pass);
    } else if (backward_can_start(s, now)) {
      const auto& pass = order_.backwards[stage.backwards++];
      stage.busy_until = now + kBackwardTicks;
      end(gradients_, piece_of(shape_, s, pass), pass.micro_batch) = stage.busy_until;
      stage.passes.push_back(pass);
    }
  }

  PipelineShape shape_;
  InterleavedOrder order_;
  std::vector<Stage> stages_;            // [stages]
  std::vector<std::int64_t> outputs_;    // [pieces, micro_batches] when the forward ends
  std::vector<std::int64_t> gradients_;  // [pieces, micro_batches] when the backward ends
};

}  // namespace

InterleavedOrder interleaved_order(const PipelineShape& shape) {
  const int m = shape.micro_batches, v = shape.virtual_stages;
  const int groups = (m - 1) / shape.stages + 1;
  InterleavedOrder order;
  for (int group = 0, first = 0; group < groups; ++group) {
    const int end = first + m / groups + (group < m % groups ? 1 : 0);
    for (int round = 0; round < v; ++round) {
      for (int micro_batch = first; micro_batch < end; ++micro_batch) {
        order.forwards.push_back({PassKind::kForward, micro_batch, round});
        order.backwards.push_back({PassKind::kBackward, micro_batch, v - 1 - round});
      }
    }
    first = end;
  }
  return order;
}

std::vector<Pass> interleaved_schedule(const PipelineShape& shape, int stage) {
  if (shape.micro_batches % shape.stages == 0) return even_schedule(shape, stage);
  return Dealer(shape).passes_of(stage);
}

}  // namespace fulgur
