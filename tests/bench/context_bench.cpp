#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu_threads.hpp"
#include "kernels/transfer.hpp"
#include "runtime/parallel/context/lightning_context.hpp"
#include "runtime/parallel/context/ring_attention.hpp"
#include "tests/bench/forked_bench.hpp"

// Both attentions of one sequence of one document, cut over processes of this host, by UCX: LASP+
// beside the sequential ring (LASP), and ring attention. Each calculates on one core; with fewer
// cores than ranks only the waiting can be compared.
//
// An iteration ends when every rank is done. "tokens/s" is that of the whole sequence, "sent/s" the
// most bytes that a rank sends for states, or for keys, values and their gradients.
namespace fulgur::test {
namespace {

constexpr std::int64_t kHeads = 4, kHeadDim = 64;

struct Place {
  std::unique_ptr<Communicator> ranks;  // null when this process is not in the group
  Stream stream{Device::kCpu}, side{Device::kCpu};
};

// The tensors of one rank. `q` is the first third of `qkv` by heads, and so on.
class Rank {
 public:
  Rank(Place& place, ContextOrder order, std::int64_t length)
      : place_(place),
        grid_{.sequences = 1,
              .length = length,
              .dp = 1,
              .cp = place.ranks->size(),
              .tp = 1,
              .order = order},
        cp_(place.ranks->rank()),
        T_(row_count(grid_, cp_)),
        documents_{{0, static_cast<std::int32_t>(length)}},
        qkv_(uniform({T_, 3 * kHeads, kHeadDim})),
        dqkv_(uniform({T_, 3 * kHeads, kHeadDim})),
        o_(uniform({T_, kHeads, kHeadDim})),
        dout_(uniform({T_, kHeads, kHeadDim})) {}

  Tensor uniform(const Shape& dims) {
    std::mt19937 generator(static_cast<unsigned>(cp_));
    std::uniform_real_distribution<float> numbers(-1.0F, 1.0F);
    std::vector<float> values(static_cast<std::size_t>(dims.count()));
    for (auto& value : values)
      value = numbers(generator);
    const auto tensor = arena_.allocate(dims);
    upload(std::move(values), tensor, place_.stream);
    return tensor;
  }
  static Tensor part(const Tensor& x, int which) { return x.slice(1, which * kHeads, kHeads); }

  // Calls once() in step with the other ranks.
  void measure(benchmark::State& state, double sent, const std::function<void()>& once) {
    const auto step = [&] {
      once();
      place_.ranks->barrier(place_.stream);
      place_.stream.synchronize();
      place_.side.synchronize();
    };
    for (int warm = 0; warm < 2; ++warm)
      step();
    for (auto _ : state)
      step();
    using Counter = benchmark::Counter;
    state.counters["tokens/s"] =
        Counter(static_cast<double>(grid_.length), Counter::kIsIterationInvariantRate);
    state.counters["sent/s"] = Counter(sent, Counter::kIsIterationInvariantRate);
  }

  void lightning(benchmark::State& state, LightningContext how, bool backward) {
    const auto plan = make_lightning_plan(ctx(), grid_, 0, cp_, documents_);
    const auto rate = uniform({kHeads}), states = uniform({plan.slots, kHeads, kHeadDim, kHeadDim});
    fill_zero(rate, place_.stream);  // states never fade
    const ContextGroup group{*place_.ranks, place_.side, how};
    const auto forward_once = [&] {
      lightning_context_forward(ctx(), group,
                                {.q = part(qkv_, 0),
                                 .k = part(qkv_, 1),
                                 .v = part(qkv_, 2),
                                 .decay_rate = rate,
                                 .plan = plan,
                                 .states_in = states,
                                 .o = o_});
    };
    const auto backward_once = [&] {
      lightning_context_backward(ctx(), group,
                                 {.q = part(qkv_, 0),
                                  .k = part(qkv_, 1),
                                  .v = part(qkv_, 2),
                                  .dout = dout_,
                                  .decay_rate = rate,
                                  .plan = plan,
                                  .states_in = states,
                                  .dq = part(dqkv_, 0),
                                  .dk = part(dqkv_, 1),
                                  .dv = part(dqkv_, 2)});
    };
    forward_once();
    const auto copies = how == LightningContext::kLaspPlus ? grid_.cp - 1 : 1;
    const auto sent = static_cast<double>(copies) * static_cast<double>(states.bytes());
    backward ? measure(state, sent, backward_once) : measure(state, sent, forward_once);
  }

  void ring(benchmark::State& state, bool backward) {
    const auto plan = make_ring_plan(ctx(), grid_, 0, cp_, documents_);
    const auto lse = arena_.allocate({T_, kHeads});
    const ContextGroup group{*place_.ranks, place_.side};
    const auto forward_once = [&] {
      ring_attention_forward(ctx(), group,
                             {.q = part(qkv_, 0),
                              .k = part(qkv_, 1),
                              .v = part(qkv_, 2),
                              .plan = plan,
                              .scale = 0.125F,
                              .o = o_,
                              .lse = lse});
    };
    const auto backward_once = [&] {
      ring_attention_backward(ctx(), group,
                              {.dout = dout_,
                               .q = part(qkv_, 0),
                               .k = part(qkv_, 1),
                               .v = part(qkv_, 2),
                               .o = o_,
                               .lse = lse,
                               .plan = plan,
                               .scale = 0.125F,
                               .dq = part(dqkv_, 0),
                               .dk = part(dqkv_, 1),
                               .dv = part(dqkv_, 2)});
    };
    forward_once();
    const auto sent =
        static_cast<double>((backward ? 2 : 1) * plan.hops) * 2.0 * static_cast<double>(o_.bytes());
    backward ? measure(state, sent, backward_once) : measure(state, sent, forward_once);
  }

 private:
  Context ctx() { return {place_.stream, arena_}; }

  Place& place_;
  TokenGrid grid_;
  int cp_;
  std::int64_t T_;
  std::vector<std::vector<std::int32_t>> documents_;
  Arena arena_{Device::kCpu};
  Tensor qkv_, dqkv_, o_, dout_;
};

using Measure = std::function<void(Rank&, benchmark::State&)>;

void add(const std::string& name, Place& place, std::int64_t length, const Measure& measure) {
  for (const auto order : {ContextOrder::kZigzag, ContextOrder::kContiguous}) {
    const auto full = name + (order == ContextOrder::kZigzag ? "/zigzag/" : "/contiguous/") +
                      std::to_string(length);
    benchmark::RegisterBenchmark(full.c_str(),
                                 [&place, order, length, measure](benchmark::State& state) {
                                   if (place.ranks == nullptr)
                                     return state.SkipWithError("this rank is not in the group");
                                   Rank rank(place, order, length);
                                   measure(rank, state);
                                   place.stream.synchronize();
                                 })
        ->Iterations(10)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
}

void register_all(const std::string& group, Place& place) {
  for (const bool backward : {false, true}) {
    const auto name = [&](const char* what) {
      return group + what + (backward ? "/backward" : "/forward");
    };
    for (const std::int64_t length : {1024, 4096, 16384}) {
      for (const auto how : {LightningContext::kLaspPlus, LightningContext::kLasp}) {
        add(name(how == LightningContext::kLaspPlus ? "/lasp_plus" : "/lasp"), place, length,
            [=](Rank& rank, benchmark::State& state) { rank.lightning(state, how, backward); });
      }
    }
    for (const std::int64_t length : {1024, 4096}) {
      add(name("/ring_attention"), place, length,
          [=](Rank& rank, benchmark::State& state) { rank.ring(state, backward); });
    }
  }
}

void run_rank(const RankOfBench& bench) {
  set_cpu_threads(1);
  Place two;
  Place four;
  const std::chrono::minutes timeout(2);
  if (bench.rank < 2)
    two.ranks = make_ucx_communicator(bench.context, bench.store, {"two", bench.rank, 2, timeout});
  four.ranks = make_ucx_communicator(bench.context, bench.store, {"four", bench.rank, 4, timeout});
  register_all("2_ranks", two);
  register_all("4_ranks", four);
  bench.run();
}

}  // namespace
}  // namespace fulgur::test

// With --benchmark_out=FILE rank 0 writes the results as JSON.
int main(int argc, char** argv) {
  return fulgur::test::run_forked_bench(4, argc, argv, fulgur::test::run_rank);
}
