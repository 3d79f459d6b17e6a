// Parity with an implementation that is not ours: every case folder below FULGUR_GOLDEN_DIR (default:
// this folder) was made with transformers' MiniMaxForCausalLM; README.md says what the files hold.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "tests/golden/golden_case.hpp"
#include "tests/support/layout_world.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

constexpr double kLogits = 5e-6;    // relative norm
constexpr double kGradient = 1e-5;  // relative norm
constexpr double kLoss = 1e-5;      // relative

std::vector<fs::path> case_folders() {
  const char* chosen = std::getenv("FULGUR_GOLDEN_DIR");
  const fs::path root = chosen != nullptr ? fs::path(chosen) : fs::path(FULGUR_GOLDEN_SOURCE_DIR);
  std::vector<fs::path> folders;
  if (fs::exists(root / "golden.json")) folders.push_back(root);
  for (const auto& entry : fs::directory_iterator(root)) {
    if (fs::exists(entry.path() / "golden.json")) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

// The case as a job on a layout. All sequences of a step are one micro-batch.
Job job_of(const test::GoldenCase& golden, const Layout& layout) {
  Job job;
  job.model = golden.model;
  job.optimizer = golden.optimizer;
  job.layout = layout;
  job.train.micro_batch = static_cast<std::int64_t>(golden.input(0).size());
  return job;
}

// The batches of the case's steps, and that of the first step once more behind them.
test::LayoutRun run_of(const test::GoldenCase& golden) {
  test::LayoutRun run;
  for (int step = 0; step < golden.num_steps(); ++step)
    run.steps.push_back(golden.samples(golden.input(step)));
  run.steps.push_back(golden.samples(golden.input(0)));
  run.weights = [&golden](const Parameter& parameter) { return golden.weights(parameter); };
  return run;
}

// The case's model on one rank, for logits.
class OneRank {
 public:
  explicit OneRank(const test::GoldenCase& golden, const test::LayoutRun& run, int steps)
      : golden_(golden), job_(job_of(golden, {})), rank_(job_, run, Rank{0}, alone(run.device)) {
    test::StepResult ignored;
    std::mutex mutex;
    for (int step = 0; step < steps; ++step)
      rank_.step(static_cast<std::size_t>(step), ignored, mutex);
  }

  std::vector<float> logits(const std::vector<test::Ids>& sequences) {
    return rank_.logits(golden_.samples(sequences));
  }

 private:
  const test::GoldenCase& golden_;
  Job job_;
  test::LayoutRank rank_;
};

void check_gradients(const test::GoldenCase& golden, const test::StepResult& result) {
  for (const auto& parameter : parameters(golden.model, golden.optimizer.decay_on)) {
    const auto expected = golden.gradient(parameter);
    if (expected.empty()) continue;
    INFO(parameter.name);
    CHECK(test::relative_error(result.gradients.at(parameter.name), expected) <= kGradient);
  }
}

// Losses as transformers reports them: with the auxiliary loss, where the case has one.
void check_steps(const test::GoldenCase& golden, const std::vector<test::StepResult>& results) {
  for (std::size_t step = 0; step < golden.losses.size(); ++step) {
    CAPTURE(step);
    const auto& result = results[step];
    CHECK(result.loss + result.aux_loss == doctest::Approx(golden.losses[step]).epsilon(kLoss));
    CHECK(result.norm == doctest::Approx(golden.norms[step]).epsilon(kLoss));
  }
  check_gradients(golden, results.front());
  const auto& last = results.back();
  CHECK(last.loss + last.aux_loss == doctest::Approx(golden.final_loss).epsilon(kLoss));
}

void check_greedy(const test::GoldenCase& golden, OneRank& trained) {
  const auto expected = golden.greedy();
  if (expected.empty()) return;
  const auto vocabulary = static_cast<std::ptrdiff_t>(golden.model.vocabulary);
  test::Ids ids(expected.begin(), expected.end() - test::GoldenCase::kGreedyTokens);
  while (ids.size() < expected.size()) {
    const auto logits = trained.logits({ids});
    const auto last = logits.end() - vocabulary;
    ids.push_back(static_cast<std::int32_t>(std::max_element(last, logits.end()) - last));
  }
  CHECK(ids == expected);
}

void check_case(const fs::path& folder, Device device) {
  const test::GoldenCase golden(folder);
  auto run = run_of(golden);
  run.device = device;
  check_steps(golden, test::run_layout(job_of(golden, {}), run));
  const auto first = golden.input(0);
  CHECK(test::relative_error(OneRank(golden, run, 0).logits(first), golden.tensor("logits")) <=
        kLogits);
  OneRank trained(golden, run, golden.num_steps());
  // AdamW divides a gradient by its size, so steps amplify rounding; 2e-5 is usual.
  CHECK(test::relative_error(trained.logits(first), golden.tensor("final_logits")) <= 1e-4);
  check_greedy(golden, trained);
}

void check_all_cases(Device device) {
  const auto folders = case_folders();
  REQUIRE(!folders.empty());
  for (const auto& folder : folders) {
    CAPTURE(folder);
    MESSAGE("case " << folder.filename().string());
    check_case(folder, device);
  }
}

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("logits, gradients, losses, norms and greedy tokens equal those of transformers") {
    check_all_cases(Device::kCpu);
  }

  TEST_CASE("so they do on a GPU" * doctest::skip(num_cuda_devices() == 0)) {
    check_all_cases(Device::kCuda);
  }

  TEST_CASE("the small case is reproduced on mixed layouts") {
    const test::GoldenCase golden(fs::path(FULGUR_GOLDEN_SOURCE_DIR) / "minimax-small");
    const auto run = run_of(golden);
    for (const Layout layout :
         {Layout{.pp = 2, .cp = 2, .ep = 2}, Layout{.pp = 2, .cp = 2, .tp = 2, .ep = 2, .etp = 2},
          Layout{.dp = 2, .cp = 2, .tp = 2, .ep = 4, .etp = 2}}) {
      CAPTURE(to_string(layout));
      check_steps(golden, test::run_layout(job_of(golden, layout), run));
    }
  }
}

}  // namespace fulgur
