#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "runtime/comm/ucx.hpp"
#include "tests/bench/silence.hpp"
#include "tests/support/file_store.hpp"
#include "tests/support/fork_ranks.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur::test {

// Benchmarks of what ranks do together, each rank a process of this host with a UCX context of its
// own. Every rank runs the same benchmarks in step, so each has a fixed number of iterations; rank
// 0 reports, and alone takes the arguments that name a file of results.
//
// A rank makes its groups, registers the benchmarks, and calls run() while the groups live.
struct RankOfBench {
  int rank;
  Store& store;
  const UcxContext& context;
  std::function<void()> run;
};

// For main(): the worst exit code of the ranks, or 1 when they cannot be started.
inline int run_forked_bench(int num_ranks, int argc, char** argv,
                            const std::function<void(const RankOfBench&)>& body) try {
  const TemporaryDirectory directory;
  std::vector<char*> quiet;
  for (int i = 0; i < argc; ++i) {
    if (std::string(argv[i]).rfind("--benchmark_out", 0) != 0) quiet.push_back(argv[i]);
  }
  ForkedRanks ranks(num_ranks, [&](int rank) {
    FileStore store(directory.path());
    const UcxContext context;
    body({rank, store, context, [&] {
            int count = rank == 0 ? argc : static_cast<int>(quiet.size());
            benchmark::Initialize(&count, rank == 0 ? argv : quiet.data());
            Silence silence;
            if (rank == 0) {
              benchmark::RunSpecifiedBenchmarks();
            } else {
              benchmark::RunSpecifiedBenchmarks(&silence);
            }
            std::fflush(nullptr);
          }});
  });
  int worst = 0;
  for (int rank = 0; rank < num_ranks; ++rank)
    worst = std::max(worst, std::abs(ranks.wait(rank)));
  return worst;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

}  // namespace fulgur::test
