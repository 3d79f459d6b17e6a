#include <benchmark/benchmark.h>
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/comm/ucx.hpp"
#include "tests/bench/silence.hpp"
#include "tests/contract/host_array.hpp"
#include "tests/support/file_store.hpp"
#include "tests/support/fork_ranks.hpp"
#include "tests/support/temporary_directory.hpp"

// The same collectives of float32 by a UCX communicator and by Open MPI, from 1 KiB to 64 MiB a rank,
// over shared memory and over TCP.
//
// The program starts itself under mpirun once for each of the two transports. There every rank is a
// process that does both, one sample of this and one of that in turn, so that what else happens on
// the machine happens to both. A sample is a few calls in a row behind a barrier; the slowest rank
// counts. The time of a benchmark is UCX's median for one call. Its counters are
//
//   mpi_us, ucx_us            the medians of both for one call
//   mpi_best_us, ucx_best_us  the fastest samples
//   speed                     the median of MPI's time by UCX's, sample by sample: above 1, UCX wins
//
// Open MPI moves data by its own means (pml ob1 with btl vader or tcp), not by UCX. Its reductions
// take scratch memory anew at every call, so the C library is told to keep what it has got once. The
// ranks are two, or as many as FULGUR_BENCH_RANKS says; with more than there are cores, figures say
// little. With --benchmark_out=x.json the results lie in x-shm.json and x-tcp.json.
namespace fulgur::test {
namespace {

constexpr const char* kDirectory = "FULGUR_BENCH_DIRECTORY";  // of the store

using Clock = std::chrono::steady_clock;

// What both sides work on. Parts are one rank's share of a whole.
struct Place {
  Communicator& ranks;
  Stream& stream;
  std::vector<float> in;
  std::vector<float> out;

  int count() const { return static_cast<int>(in.size()); }
  int part() const { return count() / ranks.size(); }
  Tensor part_of(std::vector<float>& whole) { return as_tensor(whole).slice(0, 0, part()); }
};

struct Collective {
  const char* name;
  void (*ucx)(Place&);  // only queued
  void (*mpi)(Place&);
};

const std::vector<Collective> kCollectives{
    {"all_reduce",
     [](Place& p) {
       p.ranks.all_reduce(as_tensor(p.in), as_tensor(p.out), ReduceOp::kSum, p.stream);
     },
     [](Place& p) {
       MPI_Allreduce(p.in.data(), p.out.data(), p.count(), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
     }},
    {"all_gather",
     [](Place& p) { p.ranks.all_gather(p.part_of(p.in), as_tensor(p.out), p.stream); },
     [](Place& p) {
       MPI_Allgather(p.in.data(), p.part(), MPI_FLOAT, p.out.data(), p.part(), MPI_FLOAT,
                     MPI_COMM_WORLD);
     }},
    {"reduce_scatter",
     [](Place& p) { p.ranks.reduce_scatter(as_tensor(p.in), p.part_of(p.out), p.stream); },
     [](Place& p) {
       // Not MPI_Reduce_scatter_block, which Open MPI does by a reduction to one rank.
       const std::vector<int> counts(static_cast<std::size_t>(p.ranks.size()), p.part());
       MPI_Reduce_scatter(p.in.data(), p.out.data(), counts.data(), MPI_FLOAT, MPI_SUM,
                          MPI_COMM_WORLD);
     }},
    {"all_to_all",
     [](Place& p) {
       const std::vector<std::int64_t> counts(static_cast<std::size_t>(p.ranks.size()), p.part());
       p.ranks.all_to_all_v(as_tensor(p.in), counts, as_tensor(p.out), counts, p.stream);
     },
     [](Place& p) {
       MPI_Alltoall(p.in.data(), p.part(), MPI_FLOAT, p.out.data(), p.part(), MPI_FLOAT,
                    MPI_COMM_WORLD);
     }},
};

struct Samples {
  std::int64_t samples;
  int calls;  // in each
};
Samples samples_of(std::int64_t bytes) {
  const auto calls = std::clamp<std::int64_t>((std::int64_t{1} << 20) / bytes, 1, 100);
  return {std::clamp<std::int64_t>((std::int64_t{1} << 30) / (bytes * calls), 15, 200),
          static_cast<int>(calls)};
}

// Seconds of the slowest rank for one of `calls` calls.
double time_of(int calls, const std::function<void()>& once) {
  MPI_Barrier(MPI_COMM_WORLD);
  const auto start = Clock::now();
  for (int i = 0; i < calls; ++i)
    once();
  double time = std::chrono::duration<double>(Clock::now() - start).count() / calls;
  MPI_Allreduce(MPI_IN_PLACE, &time, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return time;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double best(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

void measure(benchmark::State& state, Communicator& ranks, Stream& stream,
             const Collective& collective, int calls) {
  const auto count = static_cast<std::size_t>(state.range(0)) / sizeof(float);
  Place place{ranks, stream, std::vector<float>(count, 1.0F), std::vector<float>(count, 0.0F)};
  const auto by_ucx = [&] {
    collective.ucx(place);
    stream.synchronize();
  };
  const auto by_mpi = [&] { collective.mpi(place); };
  for (int warm = 0; warm < 3; ++warm) {
    by_ucx();
    by_mpi();
  }
  std::vector<double> ucx;
  std::vector<double> mpi;
  std::vector<double> speed;
  for (auto _ : state) {
    ucx.push_back(time_of(calls, by_ucx));
    mpi.push_back(time_of(calls, by_mpi));
    speed.push_back(mpi.back() / ucx.back());
    state.SetIterationTime(ucx.back());
  }
  state.counters["ucx_us"] = 1e6 * median(ucx);
  state.counters["mpi_us"] = 1e6 * median(mpi);
  state.counters["ucx_best_us"] = 1e6 * best(ucx);
  state.counters["mpi_best_us"] = 1e6 * best(mpi);
  state.counters["speed"] = median(speed);
}

void register_all(Communicator& ranks, Stream& stream) {
  for (const auto& collective : kCollectives) {
    for (std::int64_t bytes = 1 << 10; bytes <= 64 << 20; bytes *= 4) {
      const auto [samples, calls] = samples_of(bytes);
      benchmark::RegisterBenchmark(collective.name,
                                   [&, calls = calls](benchmark::State& state) {
                                     measure(state, ranks, stream, collective, calls);
                                   })
          ->Arg(bytes)
          ->Iterations(samples)
          ->UseManualTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

int run_rank(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  {
    FileStore store(std::getenv(kDirectory));
    const UcxContext context;
    Stream stream{Device::kCpu};
    const auto ranks = make_ucx_communicator(context, store, {"bench", rank, size});
    benchmark::Initialize(&argc, argv);
    register_all(*ranks, stream);
    Silence silence;
    if (rank == 0) {
      benchmark::RunSpecifiedBenchmarks();
    } else {
      benchmark::RunSpecifiedBenchmarks(&silence);
    }
    MPI_Barrier(MPI_COMM_WORLD);
  }
  return MPI_Finalize();
}

struct Transport {
  std::string name;
  const char* ucx;  // UCX_TLS
  const char* mpi;  // btl
};

// mpirun with this program; "--benchmark_out=x.json" becomes x-<transport>.json.
std::vector<std::string> command_of(const Transport& transport, int argc, char** argv) {
  const char* ranks = std::getenv("FULGUR_BENCH_RANKS");
  std::vector<std::string> command{"mpirun",
                                   "-n",
                                   ranks == nullptr ? "2" : ranks,
                                   "--bind-to",
                                   "none",
                                   "--oversubscribe",
                                   "--mca",
                                   "pml",
                                   "ob1",
                                   "--mca",
                                   "btl",
                                   transport.mpi,
                                   "-x",
                                   std::string("UCX_TLS=") + transport.ucx,
                                   "-x",
                                   "MALLOC_MMAP_MAX_=0",
                                   "-x",
                                   "MALLOC_TRIM_THRESHOLD_=-1"};
  if (::geteuid() == 0) command.push_back("--allow-run-as-root");
  command.push_back(argv[0]);
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument.starts_with("--benchmark_out=")) {
      const auto dot = argument.rfind(".json");
      argument.insert(std::min(dot, argument.size()), "-" + transport.name);
    }
    command.push_back(argument);
  }
  return command;
}

void become(std::vector<std::string> command) {
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (auto& word : command)
    words.push_back(word.data());
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  throw std::runtime_error("cannot run " + command[0]);
}

int launch(int argc, char** argv) {
  const TemporaryDirectory directory;
  int worst = 0;
  for (const Transport& transport : {Transport{"shm", "posix,sysv,cma,self", "vader,self"},
                                     Transport{"tcp", "tcp,self", "tcp,self"}}) {
    const auto store = directory.path() / transport.name;
    std::filesystem::create_directory(store);
    ::setenv(kDirectory, store.c_str(), 1);
    std::printf("\n%s\n", transport.name.c_str());
    std::fflush(stdout);
    ForkedRanks mpirun(1, [&](int) { become(command_of(transport, argc, argv)); });
    worst = std::max(worst, std::abs(mpirun.wait(0)));
  }
  return worst;
}

}  // namespace
}  // namespace fulgur::test

int main(int argc, char** argv) {
  const bool is_rank = std::getenv("OMPI_COMM_WORLD_RANK") != nullptr;
  try {
    return is_rank ? fulgur::test::run_rank(argc, argv) : fulgur::test::launch(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
