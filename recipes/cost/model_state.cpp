#include "recipes/cost/model_state.hpp"

#include <algorithm>

#include "recipes/layout.hpp"

namespace fulgur {
namespace {

// All ranks of a stage have parts of the same size: the first one speaks for them.
std::int64_t local_count(const Parameter& parameter, const Layout& layout) {
  std::int64_t count = 1;
  for (const auto size : part_of(parameter, layout, Rank{0}).count)
    count *= size;
  return count;
}

int replicas_of(ParameterKind kind, int copies, const Layout& layout) {
  return kind == ParameterKind::kExpert ? edp(layout) : layout.dp * layout.cp * copies;
}

}  // namespace

std::vector<ReplicatedParameters> replicated_parameters(const Job& job,
                                                        std::span<const Parameter> table,
                                                        int stage) {
  const auto pieces = pieces_of_stage(layers_per_piece(job), job.layout.pp, stage);
  const bool rounds = job.train.precision == Precision::kBFloat16;
  std::vector<ReplicatedParameters> held;
  for (const auto& parameter : table) {
    if (std::none_of(pieces.begin(), pieces.end(),
                     [&](const ModelPiece& piece) { return piece.holds(parameter); }))
      continue;
    const bool expert = parameter.kind == ParameterKind::kExpert;
    const int copies = expert ? 1 : tp_copies(parameter, job.layout.tp);
    const bool exact = !rounds || stays_exact(parameter);
    auto found = std::find_if(held.begin(), held.end(), [&](const ReplicatedParameters& each) {
      return each.kind == parameter.kind && each.copies == copies && each.exact == exact;
    });
    if (found == held.end()) {
      held.push_back({.kind = parameter.kind,
                      .copies = copies,
                      .exact = exact,
                      .replicas = replicas_of(parameter.kind, copies, job.layout)});
      found = std::prev(held.end());
    }
    found->count += local_count(parameter, job.layout);
  }
  for (auto& each : held)
    each.count = (each.count + each.replicas - 1) / each.replicas * each.replicas;
  return held;
}

ModelState model_state(const Job& job, std::span<const ReplicatedParameters> held) {
  const bool rounds = job.train.precision == Precision::kBFloat16;
  ModelState state;
  for (const auto& each : held) {
    const auto count = static_cast<double>(each.count);
    const double share = count / each.replicas;
    const bool rounded = rounds && !each.exact;
    state.parameters += each.count;
    state.weights += (rounded ? 2 : 4) * count;
    state.gradients += 4 * count;
    state.optimizer += (rounded ? 12 : 8) * share;
    if (each.replicas > 1) state.reduced += 4 * share;
  }
  return state;
}

std::vector<ModelState> model_states(const Job& job) {
  const auto table = parameters(job.model, job.optimizer.decay_on);
  std::vector<ModelState> states;
  states.reserve(static_cast<std::size_t>(job.layout.pp));
  for (int stage = 0; stage < job.layout.pp; ++stage)
    states.push_back(model_state(job, replicated_parameters(job, table, stage)));
  return states;
}

}  // namespace fulgur
