#pragma once

#include <benchmark/benchmark.h>

#include <vector>

namespace fulgur::test {

// Reports nothing: for the ranks but 0, which run the same benchmarks.
class Silence final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>&) override {}
};

}  // namespace fulgur::test
