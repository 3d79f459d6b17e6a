#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu_threads.hpp"
#include "kernels/transfer.hpp"
#include "runtime/comm/flight_recorder.hpp"
#include "runtime/comm/local.hpp"
#include "runtime/parallel/experts/expert_exchange.hpp"
#include "tests/bench/forked_bench.hpp"

// The experts of a layer over two processes of this host, by UCX: forward and backward, with 1 to 8
// token groups. The tokens go evenly to the experts, so that no rank waits for another's work.
//
// An iteration ends when the rank's compute stream is done. The columns, seconds an iteration:
//   busy     CPU time of the compute stream's thread: its kernels
//   exposed  the rest of the time from the stream's first work to its last: it waits for rows, or
//            for a core, when the threads that move rows need those of the machine
//   moving   the exchanges from their start to their end, added up, with their waits for the other
//            rank
// Each rank calculates on one core. With fewer cores than ranks the figures mean nothing.
namespace fulgur::test {
namespace {

using Group = std::vector<std::unique_ptr<Communicator>>;
constexpr std::int64_t kTokens = 2048, kWidth = 512, kInner = 256, kExperts = 8, kChoices = 2;
constexpr int kIterations = 20;

// One process's place among the two.
struct Place {
  FlightRecorder recorder{256};  // of `both`
  std::unique_ptr<Communicator> both;
  Group alone = make_local_group("alone", 1, std::chrono::minutes(1));
  Stream compute{Device::kCpu}, ep{Device::kCpu}, etp{Device::kCpu};
};

// A point on a stream's timeline, and how long its thread has worked until then.
struct Mark {
  std::chrono::steady_clock::time_point wall;
  double cpu = 0;
};

double thread_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void queue_mark(Stream& stream, Mark& mark) {
  stream.run([&mark] { mark = {std::chrono::steady_clock::now(), thread_cpu_seconds()}; });
}

class Rank {
 public:
  Rank(Place& place, bool over_etp, std::int64_t token_groups)
      : place_(place),
        groups_{*place.both,
                over_etp ? *place.alone[0] : *place.both,
                over_etp ? *place.both : *place.alone[0],
                place.ep,
                place.etp,
                token_groups},
        x_(uniform({kTokens, kWidth})),
        weights_(uniform({kTokens, kChoices})),
        experts_(spread()),
        w13_(uniform({kExperts / groups_.ep.size(), 2, kInner / groups_.etp.size(), kWidth})),
        w2_(uniform({kExperts / groups_.ep.size(), kWidth, kInner / groups_.etp.size()})),
        dw13_(arena_.allocate(w13_.dims)),
        dw2_(arena_.allocate(w2_.dims)),
        out_(arena_.allocate(x_.dims)),
        dx_(arena_.allocate(x_.dims)),
        dweights_(arena_.allocate(weights_.dims)),
        exchange_(groups_, {w13_, w2_}, {dw13_, dw2_}) {
    fill_zero(dw13_, place_.compute);
    fill_zero(dw2_, place_.compute);
  }

  void measure(benchmark::State& state) {
    for (int warm = 0; warm < 3; ++warm)
      once();
    double busy = 0, exposed = 0, moving = 0;
    for (auto _ : state) {
      once();
      const double wall = std::chrono::duration<double>(end_.wall - begin_.wall).count();
      const double cpu = end_.cpu - begin_.cpu;
      state.SetIterationTime(wall);
      busy += cpu;
      exposed += wall - cpu;
      moving += moving_seconds();
    }
    state.counters["busy"] = benchmark::Counter(busy, benchmark::Counter::kAvgIterations);
    state.counters["exposed"] = benchmark::Counter(exposed, benchmark::Counter::kAvgIterations);
    state.counters["moving"] = benchmark::Counter(moving, benchmark::Counter::kAvgIterations);
    state.counters["exposed_share"] = exposed / (busy + exposed);
  }

 private:
  Tensor uniform(const Shape& dims) {
    std::mt19937 generator(static_cast<unsigned>(place_.both->rank()));
    std::uniform_real_distribution<float> numbers(-0.1F, 0.1F);
    std::vector<float> values(static_cast<std::size_t>(dims.count()));
    for (auto& value : values)
      value = numbers(generator);
    const auto tensor = arena_.allocate(dims);
    upload(std::move(values), tensor, place_.compute);
    return tensor;
  }

  Tensor spread() {
    std::vector<std::int32_t> experts(static_cast<std::size_t>(kTokens * kChoices));
    for (std::size_t i = 0; i < experts.size(); ++i)
      experts[i] = static_cast<std::int32_t>(i * 3 % kExperts);
    const auto tensor = arena_.allocate({kTokens, kChoices}, DType::kInt32);
    upload(std::move(experts), tensor, place_.compute);
    return tensor;
  }

  // All exchanges since the last barrier.
  double moving_seconds() const {
    double seconds = 0;
    for (const auto& record : place_.recorder.snapshot()) {
      const double took = std::chrono::duration<double>(record.ended - record.started).count();
      seconds = record.kind == OperationKind::kBarrier ? 0 : seconds + took;
    }
    return seconds;
  }

  void once() {
    auto& stream = place_.compute;
    const Arena::Scope scope(arena_);
    const Context ctx{stream, arena_};
    place_.both->barrier(stream);
    queue_mark(stream, begin_);
    ExpertExchange::Saved saved;
    exchange_.forward(ctx, {.x = x_, .weights = weights_, .experts = experts_, .out = out_}, saved);
    exchange_.backward(ctx, ctx,
                       {.dout = x_, .weights = weights_, .dx = dx_, .dweights = dweights_}, saved,
                       [&](const ExpertExchange::WeightWork& work) { work(stream); });
    queue_mark(stream, end_);
    stream.synchronize();
    place_.ep.synchronize();
    place_.etp.synchronize();
  }

  Place& place_;
  ExpertGroups groups_;
  Arena arena_{Device::kCpu};
  Tensor x_, weights_, experts_, w13_, w2_, dw13_, dw2_, out_, dx_, dweights_;
  ExpertExchange exchange_;
  Mark begin_, end_;
};

void run_rank(const RankOfBench& bench) {
  set_cpu_threads(1);
  Place place;
  place.both =
      make_ucx_communicator(bench.context, bench.store,
                            {"both", bench.rank, 2, std::chrono::minutes(2), &place.recorder});
  for (const bool over_etp : {false, true}) {
    for (const std::int64_t groups : {1, 2, 4, 8}) {
      benchmark::RegisterBenchmark(over_etp ? "etp_2/token_groups" : "ep_2/token_groups",
                                   [&place, over_etp, groups](benchmark::State& state) {
                                     Rank(place, over_etp, groups).measure(state);
                                   })
          ->Arg(groups)
          ->Iterations(kIterations)
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  bench.run();
}

}  // namespace
}  // namespace fulgur::test

// With --benchmark_out=FILE rank 0 writes the results as JSON.
int main(int argc, char** argv) {
  return fulgur::test::run_forked_bench(2, argc, argv, fulgur::test::run_rank);
}
