// Tokens between two experts: what rounding decides on one rank, the layouts take over.
#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <utility>

#include "tests/layout/small_job.hpp"

namespace fulgur {
namespace {

using test::Values;

// Random weights, except that the rows of experts 0 and 1 in every router differ by a factor that stands
// for rounding: which of the two a token goes to depends on it.
Values weights(const Parameter& parameter, float factor) {
  std::mt19937 generator(static_cast<unsigned>(std::hash<std::string>()(parameter.name)));
  std::uniform_real_distribution<float> any(-0.4f, 0.4f);
  Values values(static_cast<std::size_t>(parameter.count()), 1.0f);
  if (parameter.shape.size() == 1) return values;
  for (auto& value : values)
    value = any(generator);
  if (!parameter.name.ends_with(".router")) return values;
  const auto C = static_cast<std::size_t>(parameter.shape[1]);
  for (std::size_t c = 0; c < C; ++c)
    values[C + c] = values[c] * factor;
  return values;
}

// The router's probabilities in a run on one rank: of step, micro-batch and layer, by sequence and token.
class Probabilities {
 public:
  void observe(StepData& data, std::size_t step, Stream& stream) {
    data.observe = [this, step, &stream](const Activation& activation) {
      if (!activation.operation.ends_with(".router")) return;
      all_[{step, activation.micro_batch, activation.operation}] =
          download<float>(activation.values, stream);
    };
  }
  void replay(StepData& data, std::size_t step, const Mesh& mesh) const {
    data.reference = [this, step, &mesh](const Context& ctx, const Batch& batch,
                                         std::int64_t micro_batch, std::int64_t layer) {
      const auto& all = all_.at({step, micro_batch, router_operation(layer)});
      const auto tokens = batch.grid.sequences * batch.grid.length;
      const auto E = static_cast<std::int64_t>(all.size()) / tokens;
      Values rows(static_cast<std::size_t>(batch.rows * E));
      const auto [pp, dp, cp, tp] = mesh.dense();
      for (const auto& run : token_runs(batch.grid, dp, cp, tp)) {
        const auto token = run.sequence * batch.grid.length + run.begin;
        std::copy_n(all.begin() + token * E, run.count() * E, rows.begin() + run.row * E);
      }
      const auto reference = ctx.arena.allocate({batch.rows, E});
      upload(std::move(rows), reference, ctx.stream);
      return reference;
    };
  }

 private:
  std::map<std::tuple<std::size_t, std::int64_t, std::string>, Values> all_;
};

test::LayoutRun run_of(const Job& job, float factor) {
  auto run = test::small_run(job);
  run.steps.resize(2);
  run.weights = [factor](const Parameter& parameter) { return weights(parameter, factor); };
  return run;
}

std::int64_t num_replayed(const test::StepResult& step) {
  const auto& layers = step.routing.replayed;
  return std::accumulate(layers.begin(), layers.end(), std::int64_t{0});
}

}  // namespace

TEST_SUITE("layout/near_tie") {
  TEST_CASE("a layout that takes over what one rank chose at near ties computes what it computed") {
    const auto job = test::small_job();
    Probabilities probabilities;
    auto alone = run_of(job, 1.0f);
    alone.prepare = [&](StepData& data, std::size_t step, const Mesh&, Stream& stream) {
      probabilities.observe(data, step, stream);
    };
    const auto expected = test::run_layout(job, alone);
    CHECK(num_replayed(expected.front()) == 0);

    const std::pair<std::string, Recompute> cases[] = {
        {"dp=1", Recompute::kNone},
        {"cp=2,tp=2,ep=2", Recompute::kFull},
        {"pp=2,dp=2,ep=2", Recompute::kFull},
        {"pp=2,cp=2,tp=2,ep=4", Recompute::kSelective}};
    for (const auto& each : cases) {
      CAPTURE(each.first);
      auto other = job;
      other.layout = parse_layout(each.first);
      other.memory.recompute = each.second;
      auto run = run_of(other, 1 + 1e-6f);
      run.prepare = [&](StepData& data, std::size_t step, const Mesh& mesh, Stream&) {
        probabilities.replay(data, step, mesh);
      };
      const auto results = test::run_layout(other, run);
      test::check_equal(results, expected);
      CHECK(num_replayed(results.front()) > 100);

      // Without, they go elsewhere.
      run.prepare = {};
      const auto without = test::run_layout(other, run);
      CHECK(without.front().routing.counts != expected.front().routing.counts);
      CHECK(num_replayed(without.front()) == 0);
    }
  }
}

}  // namespace fulgur
