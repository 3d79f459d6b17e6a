// Whole training steps on this machine's cores: the real program, one run per number of workers.
#include <benchmark/benchmark.h>
#include <sys/wait.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;

constexpr int kSteps = 20;
constexpr std::size_t kWarmUp = 5;  // steps at the start that are left out

// The numbers of one field of the run's metrics, behind the warm-up.
std::vector<double> metric(const fs::path& run, const char* field) {
  std::ifstream lines(run / "metrics.jsonl");
  std::vector<double> values;
  for (std::string line; std::getline(lines, line);)
    values.push_back(boost::json::parse(line).at(field).to_number<double>());
  if (values.size() <= kWarmUp) throw std::runtime_error("the run left too few metrics");
  values.erase(values.begin(), values.begin() + kWarmUp);
  return values;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void train(const fs::path& run, std::int64_t workers) {
  const auto command = std::string(FULGUR_PROGRAM) + " train " + FULGUR_BENCH_RECIPE +
                       " --set layout.dp=" + std::to_string(workers) +
                       " --set train.steps=" + std::to_string(kSteps) +
                       " --set run_directory=" + run.string() + " > /dev/null";
  const int status = std::system(command.c_str());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error("failed: " + command);
}

void training_step(benchmark::State& state) {
  const fulgur::test::TemporaryDirectory folder;
  const auto run = folder.path() / "run";
  for (auto _ : state) {
    train(run, state.range(0));
    state.SetIterationTime(median(metric(run, "seconds")));
  }
  state.counters["tokens_per_second"] = median(metric(run, "tokens_per_second"));
}
BENCHMARK(training_step)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->UseManualTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
