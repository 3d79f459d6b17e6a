#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/forked_bench.hpp"
#include "tests/contract/host_array.hpp"

// UCX collectives between processes of this host, from 1 KiB to 64 MiB of float32 a rank.
//
// Every rank runs the same benchmarks in step, each with a fixed number of iterations, and rank 0
// reports. "bytes/s" is what a rank sends, by the cost stated in communicator.hpp; compare it with
// the bandwidth of a core's memcpy, which bounds it from above. Choose transports with UCX_TLS.
namespace fulgur::test {
namespace {

using Move = std::function<void(Communicator&, Stream&, std::vector<float>&, std::vector<float>&)>;

// One group of this process: null when its rank is not in it.
struct Place {
  std::unique_ptr<Communicator> ranks;
  Stream stream{Device::kCpu};
};

std::int64_t iterations(std::int64_t bytes) {
  return std::clamp<std::int64_t>((std::int64_t{256} << 20) / bytes, 5, 2000);
}

void measure(benchmark::State& state, Place& place, const Move& move, double sent_per_byte) {
  if (place.ranks == nullptr) {
    state.SkipWithError("this rank is not in the group");
    return;
  }
  const auto count = static_cast<std::size_t>(state.range(0)) / sizeof(float);
  std::vector<float> a(count, 1.0F);
  std::vector<float> b(count, 1.0F);
  const auto once = [&] {
    move(*place.ranks, place.stream, a, b);
    place.stream.synchronize();
  };
  for (int warm = 0; warm < 3; ++warm)
    once();
  for (auto _ : state)
    once();
  state.counters["bytes/s"] =
      benchmark::Counter(static_cast<double>(state.range(0)) * sent_per_byte,
                         benchmark::Counter::kIsIterationInvariantRate);
}

void all_reduce(Communicator& ranks, Stream& stream, std::vector<float>& a, std::vector<float>& b) {
  ranks.all_reduce(as_tensor(a), as_tensor(b), ReduceOp::kSum, stream);
}

// The last tensor of the pair is cut into as many parts as there are ranks.
Tensor part(Communicator& ranks, std::vector<float>& whole) {
  return as_tensor(whole).slice(0, 0, static_cast<std::int64_t>(whole.size()) / ranks.size());
}

void all_gather(Communicator& ranks, Stream& stream, std::vector<float>& a, std::vector<float>& b) {
  ranks.all_gather(part(ranks, a), as_tensor(b), stream);
}

void reduce_scatter(Communicator& ranks, Stream& stream, std::vector<float>& a,
                    std::vector<float>& b) {
  ranks.reduce_scatter(as_tensor(a), part(ranks, b), stream);
}

void all_to_all(Communicator& ranks, Stream& stream, std::vector<float>& a, std::vector<float>& b) {
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(ranks.size()),
                                         static_cast<std::int64_t>(a.size()) / ranks.size());
  ranks.all_to_all_v(as_tensor(a), counts, as_tensor(b), counts, stream);
}

void broadcast(Communicator& ranks, Stream& stream, std::vector<float>& a, std::vector<float>&) {
  ranks.broadcast(as_tensor(a), 0, stream);
  ranks.barrier(stream);  // or the root would run ahead
}

void ping_pong(Communicator& ranks, Stream& stream, std::vector<float>& a, std::vector<float>& b) {
  if (ranks.rank() == 0) {
    ranks.send(as_tensor(a), 1, stream);
    ranks.recv(as_tensor(b), 1, stream);
  } else if (ranks.rank() == 1) {
    ranks.recv(as_tensor(b), 0, stream);
    ranks.send(as_tensor(a), 0, stream);
  }
}

void register_all(const std::string& group, Place& place, int size) {
  const double others = static_cast<double>(size - 1) / size;
  struct Case {
    const char* name;
    Move move;
    double sent_per_byte;
  };
  const std::vector<Case> cases{{"all_reduce", all_reduce, 2 * others},
                                {"all_gather", all_gather, others},
                                {"reduce_scatter", reduce_scatter, others},
                                {"all_to_all", all_to_all, others},
                                {"broadcast", broadcast, 1},
                                {"ping_pong", ping_pong, 1}};
  for (const auto& [name, move, sent] : cases) {
    if (size != 2 && std::string(name) == "ping_pong") continue;
    for (std::int64_t bytes = 1 << 10; bytes <= 64 << 20; bytes *= 4) {
      benchmark::RegisterBenchmark((group + "/" + name).c_str(),
                                   [&place, move = move, sent = sent](benchmark::State& state) {
                                     measure(state, place, move, sent);
                                   })
          ->Arg(bytes)
          ->Iterations(iterations(bytes))
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

void run_rank(const RankOfBench& bench) {
  Place two;
  Place four;
  const std::chrono::minutes timeout(2);
  if (bench.rank < 2)
    two.ranks = make_ucx_communicator(bench.context, bench.store, {"two", bench.rank, 2, timeout});
  four.ranks = make_ucx_communicator(bench.context, bench.store, {"four", bench.rank, 4, timeout});
  register_all("2_ranks", two, 2);
  register_all("4_ranks", four, 4);
  bench.run();
}

}  // namespace
}  // namespace fulgur::test

// With --benchmark_out=FILE rank 0 writes the results as JSON.
int main(int argc, char** argv) {
  return fulgur::test::run_forked_bench(4, argc, argv, fulgur::test::run_rank);
}
