#include "runtime/model/moe_layer.hpp"

#include <doctest/doctest.h>

#include <mutex>

#include "kernels/transfer.hpp"
#include "tests/runtime/model/moe_oracle.hpp"
#include "tests/runtime/parallel/experts/expert_shard.hpp"
#include "tests/support/thread_groups.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

using test::Floats;
using test::Ints;
using test::MoeInputs;
using test::relative_error;
using Values = std::vector<float>;

constexpr std::int64_t kSequences = 4, kLength = 13;

struct Case {
  Layout layout;
  std::int64_t token_groups = 1;
  ContextOrder order = ContextOrder::kZigzag;
  bool weights_later = false;
};

struct Results {
  Values out, dx, drouter, dw13, dw2;
  std::vector<std::int32_t> counts;
  std::vector<double> probability_sums;
  std::int64_t dropped = 0, dropped_local = 0;
};

ModelSpec model_of(const MoeInputs& in) {
  ModelSpec model{.vocabulary = 16, .layers = 1, .heads = 4, .kv_heads = 4, .head_dim = 4};
  model.hidden = in.experts.width();
  model.experts = in.experts.num_experts();
  model.experts_per_token = in.experts.k();
  model.expert_hidden = in.experts.inner();
  model.capacity_factor = in.capacity_factor;
  return model;
}

// This rank's tokens, as indices into the micro-batch, in row order.
std::vector<std::size_t> tokens_of(const TokenGrid& grid, const DenseCoordinate& at) {
  std::vector<std::size_t> tokens;
  for (const auto& run : token_runs(grid, at.dp, at.cp, at.tp)) {
    for (auto position = run.begin; position < run.end; ++position)
      tokens.push_back(static_cast<std::size_t>(run.sequence * grid.length + position));
  }
  return tokens;
}

// Between the rows of a rank and the tokens of the micro-batch.
Floats take(const Floats& all, const std::vector<std::size_t>& tokens) {
  Floats part({static_cast<std::int64_t>(tokens.size()), all.dims()[1]});
  const auto width = static_cast<std::size_t>(all.dims()[1]);
  for (std::size_t i = 0; i < part.values.size(); ++i)
    part.values[i] = all.values[tokens[i / width] * width + i % width];
  return part;
}
void put(const Floats& part, const std::vector<std::size_t>& tokens, Values& all) {
  const auto width = static_cast<std::size_t>(part.dims()[1]);
  for (std::size_t i = 0; i < part.values.size(); ++i)
    all[tokens[i / width] * width + i % width] = part.values[i];
}

class Run {
 public:
  Run(const MoeInputs& in, const Case& options) : in_(in), case_(options), model_(model_of(in)) {
    results_ = {.out = Values(in.experts.x.values.size()),
                .dx = Values(in.experts.x.values.size()),
                .drouter = Values(in.router.values.size()),
                .dw13 = Values(in.experts.w13.values.size()),
                .dw2 = Values(in.experts.w2.values.size()),
                .counts = std::vector<std::int32_t>(in.router.values.size() / 8),
                .probability_sums = std::vector<double>(in.router.values.size() / 8)};
  }

  Results operator()() {
    test::run_world(world_size(case_.layout), [this](Rank rank, const MakeGroup& make_group) {
      Mesh mesh(case_.layout, rank, Device::kCpu, make_group);
      run_rank(mesh);
    });
    return results_;
  }

 private:
  void set_weights(const ParameterSet& parameters, const test::ExpertShard& shard, Stream& stream) {
    Floats w13(shard.w13_dims()), w2(shard.w2_dims());
    for (std::size_t i = 0; i < w13.values.size(); ++i)
      w13.values[i] = in_.experts.w13.values[shard.w13(i)];
    for (std::size_t i = 0; i < w2.values.size(); ++i)
      w2.values[i] = in_.experts.w2.values[shard.w2(i)];
    upload(w13.values, parameters.weight("layers.0.experts.w13"), stream);
    upload(w2.values, parameters.weight("layers.0.experts.w2"), stream);
    upload(in_.router.values, parameters.weight("layers.0.router"), stream);
  }

  void run_rank(Mesh& mesh) {
    Stream stream(Device::kCpu);
    const ModelPiece whole{.first = 0, .last = 1};
    const ParameterSet parameters(model_, WeightDecayOn::kMatrices, mesh, {&whole, 1});
    const test::ExpertShard shard(in_.experts, case_.layout.ep, case_.layout.etp,
                                  mesh.stage_rank());
    set_weights(parameters, shard, stream);
    const TokenGrid grid{kSequences,      kLength,         case_.layout.dp,
                         case_.layout.cp, case_.layout.tp, case_.order};
    const auto tokens = tokens_of(grid, mesh.dense());
    auto g = take(in_.experts.x, tokens), dout = take(in_.experts.dout, tokens);
    auto dprobability = in_.dprobability;
    Floats out(g.dims(), 9.0f), dg(g.dims(), 9.0f);

    Arena arena(Device::kCpu), operands(Device::kCpu);
    const Context ctx{stream, arena};
    const auto statistics = RoutingStatistics::allocate(ctx, 1, model_.experts);
    const MoeLayer layer(model_, 0, parameters, {.mesh = mesh, .token_groups = case_.token_groups});
    MoeLayer::Saved saved;
    auto weights = case_.weights_later ? WeightGradients(operands) : WeightGradients();
    layer.forward(ctx, {.grid = grid, .g = g, .out = out, .statistics = statistics.of_layer(0)},
                  saved);
    layer.backward(ctx, {.dout = dout, .g = g, .dprobability = dprobability, .dg = dg}, saved,
                   weights);
    weights.run(stream);
    mesh.synchronize(stream);

    put(out, tokens, results_.out);
    put(dg, tokens, results_.dx);
    add_gradients(parameters, shard, stream);
    add_statistics(statistics, stream);
  }

  void add_gradients(const ParameterSet& parameters, const test::ExpertShard& shard,
                     Stream& stream) {
    const auto gradient = [&](const char* name) {
      return download<float>(parameters.gradient(name), stream);
    };
    const std::lock_guard lock(mutex_);
    const auto dw13 = gradient("layers.0.experts.w13"), dw2 = gradient("layers.0.experts.w2"),
               drouter = gradient("layers.0.router");
    for (std::size_t i = 0; i < dw13.size(); ++i)
      results_.dw13[shard.w13(i)] += dw13[i];
    for (std::size_t i = 0; i < dw2.size(); ++i)
      results_.dw2[shard.w2(i)] += dw2[i];
    for (std::size_t i = 0; i < drouter.size(); ++i)
      results_.drouter[i] += drouter[i];
  }

  void add_statistics(const RoutingStatistics& statistics, Stream& stream) {
    const auto counts = download<std::int32_t>(statistics.counts, stream);
    const auto sums = download<double>(statistics.probability_sums, stream);
    const std::lock_guard lock(mutex_);
    for (std::size_t e = 0; e < counts.size(); ++e) {
      results_.counts[e] += counts[e];
      results_.probability_sums[e] += sums[e];
    }
    results_.dropped += download<std::int32_t>(statistics.dropped, stream)[0];
    results_.dropped_local += download<std::int32_t>(statistics.dropped_local, stream)[0];
  }

  const MoeInputs& in_;
  Case case_;
  ModelSpec model_;
  std::mutex mutex_;
  Results results_;  // what is added up over ranks is guarded by mutex_
};

// Sums over at most 52 tokens, in float32; the router's weights are rounded once more.
constexpr double kTolerance = 3e-6;

void check(const Results& got, const test::MoeResults& expected) {
  CHECK(relative_error(got.out, expected.experts.out) < kTolerance);
  CHECK(relative_error(got.dx, expected.experts.dx) < kTolerance);
  CHECK(relative_error(got.drouter, expected.drouter) < kTolerance);
  CHECK(relative_error(got.dw13, expected.experts.dw13) < kTolerance);
  CHECK(relative_error(got.dw2, expected.experts.dw2) < kTolerance);
  CHECK(got.counts == expected.counts);
  CHECK(got.dropped == expected.dropped);
}

std::vector<Case> cases() {
  return {
      {{}},
      {{.dp = 2}},
      {{.dp = 2, .ep = 2}, 2},
      {{.cp = 2, .etp = 2}, 3, ContextOrder::kContiguous},
      {{.tp = 2, .ep = 2}, 8, ContextOrder::kZigzag, true},
      {{.cp = 3, .ep = 3}, 2, ContextOrder::kZigzag, true},
      {{.dp = 2, .cp = 2, .ep = 2}, 2},
      {{.dp = 2, .tp = 2, .ep = 2, .etp = 2}, 3},
      {{.dp = 2, .cp = 2, .tp = 2, .ep = 4}, 2, ContextOrder::kContiguous, true},
      {{.dp = 2, .cp = 2, .tp = 2, .ep = 4, .etp = 2}, 64},
      {{.dp = 4, .tp = 2, .ep = 2, .etp = 4}, 1},
      {{.cp = 4, .tp = 2, .ep = 2, .etp = 2}, 3},
  };
}

}  // namespace

TEST_SUITE("runtime/model/moe_layer") {
  TEST_CASE("on every layout the layer and its gradients are those of the float64 oracle") {
    for (const double factor : {0.0, 0.3, 1.0}) {
      const auto in = test::random_moe_inputs(kSequences * kLength, factor);
      const test::MoeOracle oracle(in);
      REQUIRE((oracle.results().dropped > 0) == (factor > 0));
      for (const auto& c : cases()) {
        CAPTURE(factor);
        CAPTURE(to_string(c.layout));
        CAPTURE(c.token_groups);
        const auto results = Run(in, c)();
        check(results, oracle.results());
        CHECK((results.dropped_local > 0) == (factor > 0));
      }
    }
  }

  TEST_CASE("on one rank the local capacity is the global one") {
    const auto in = test::random_moe_inputs(kSequences * kLength, 1.0);
    const auto results = Run(in, {})();
    CHECK(results.dropped_local == results.dropped);
  }

  TEST_CASE("weight gradients that are put off are the same bits") {
    const auto in = test::random_moe_inputs(kSequences * kLength, 1.0);
    const Layout layout{.tp = 2, .ep = 2};
    const auto now = Run(in, {layout, 3})(), later = Run(in, {layout, 3, {}, true})();
    CHECK(later.dw13 == now.dw13);
    CHECK(later.dw2 == now.dw2);
    CHECK(relative_error(later.drouter, now.drouter) < 1e-7);  // added over ranks in any order
    CHECK(later.dx == now.dx);
  }
}

}  // namespace fulgur
