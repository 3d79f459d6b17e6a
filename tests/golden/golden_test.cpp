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

// In bfloat16 every stored activation has a relative rounding error of up to 2^-9. About ten of them in a
// row for each of up to 8 layers add up like a random walk to some 0.02 of the logits; and a token whose
// experts are nearer than that goes to others than in float32, which a whole row of logits shows: with
// random weights, as here, a few tokens of a hundred. An H200 came to 0.067.
constexpr double kRoundedLogits = 0.1;     // relative norm
constexpr double kRoundedGradient = 0.15;  // relative norm, all parameters together
constexpr double kRoundedLoss = 5e-3;      // relative

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

// The first step in bfloat16: its loss, and its gradient as one vector.
void check_rounded_case(const fs::path& folder) {
  const test::GoldenCase golden(folder);
  auto run = run_of(golden);
  run.device = Device::kCuda;
  auto job = job_of(golden, {});
  job.train.precision = Precision::kBFloat16;
  const auto results = test::run_layout(job, run);
  const double loss = results.front().loss + results.front().aux_loss;
  CHECK(loss == doctest::Approx(golden.losses.front()).epsilon(kRoundedLoss));
  std::vector<float> got, expected;
  for (const auto& parameter : parameters(golden.model, golden.optimizer.decay_on)) {
    const auto part = golden.gradient(parameter);
    if (part.empty()) continue;
    const auto& ours = results.front().gradients.at(parameter.name);
    got.insert(got.end(), ours.begin(), ours.end());
    expected.insert(expected.end(), part.begin(), part.end());
  }
  if (!expected.empty()) CHECK(test::relative_error(got, expected) <= kRoundedGradient);
  test::LayoutRank rank(job, run, Rank{0}, alone(run.device));
  CHECK(test::relative_error(rank.logits(golden.samples(golden.input(0))),
                             golden.tensor("logits")) <= kRoundedLogits);
}

template <class CheckCase>
void check_all_cases(const CheckCase& check_case) {
  const auto folders = case_folders();
  REQUIRE(!folders.empty());
  for (const auto& folder : folders) {
    CAPTURE(folder);
    MESSAGE("case " << folder.filename().string());
    check_case(folder);
  }
}

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("logits, gradients, losses, norms and greedy tokens equal those of transformers") {
    check_all_cases([](const fs::path& folder) { check_case(folder, Device::kCpu); });
  }

  TEST_CASE("so they do on a GPU" * doctest::skip(num_cuda_devices() == 0)) {
    check_all_cases([](const fs::path& folder) { check_case(folder, Device::kCuda); });
  }

  TEST_CASE("in bfloat16 they do up to what rounding explains" *
            doctest::skip(num_cuda_devices() == 0)) {
    check_all_cases(check_rounded_case);
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
