// Parity with an implementation that is not ours: every case folder below FULGUR_GOLDEN_DIR (default:
// this folder) was made with transformers' MiniMaxForCausalLM; README.md says what the files hold.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "runtime/comm/local.hpp"
#include "runtime/optim/sharded_adamw.hpp"
#include "runtime/train/gradient_step.hpp"
#include "tests/golden/golden_case.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;

constexpr double kLogits = 5e-6;    // relative norm
constexpr double kGradient = 1e-5;  // relative norm
constexpr double kLoss = 1e-5;      // relative

double relative_distance(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  double distance = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    distance += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  // A gradient that is zero in both (a router that picks one expert) is no difference.
  return norm == 0 ? std::sqrt(distance) : std::sqrt(distance / norm);
}

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

// One rank with the case's model: the same parts that a worker trains with.
class Replica {
 public:
  explicit Replica(const test::GoldenCase& golden)
      : golden_(golden),
        group_(make_local_group("dp", 1, std::chrono::seconds(60))),
        parameters_(golden.model, golden.optimizer.decay_on, Device::kCpu, 1),
        model_(golden.model, parameters_, Device::kCpu),
        optimizer_(parameters_, golden.optimizer, *group_[0], Device::kCpu),
        sums_buffer_(Device::kCpu, 2 * sizeof(double)) {
    for (const auto& flat : parameters_.flats()) {
      for (const auto& local : flat.parameters) {
        const auto values = golden.weights(local.parameter);
        const auto weight = parameters_.weight(local.parameter.name);
        REQUIRE(values.size() == static_cast<std::size_t>(weight.count()));
        std::copy(values.begin(), values.end(), weight.as<float>());
      }
    }
  }

  std::vector<float> logits(const std::vector<test::Ids>& sequences) {
    const Arena::Scope scope(arena_);
    const Context ctx{stream_, arena_};
    const auto samples = golden_.samples(sequences);
    const auto batch = make_batch(ctx, samples);
    Model::Saved saved;
    model_.forward(ctx, batch, saved);
    const auto logits = arena_.allocate({batch.tokens, golden_.model.vocabulary});
    model_.logits(ctx, saved.hidden, logits);
    stream_.synchronize();
    return {logits.as<float>(), logits.as<float>() + logits.count()};
  }

  // The loss as transformers reports it: with the auxiliary loss, where the case has one.
  double gradients(const std::vector<test::Ids>& sequences) {
    const auto sums = Tensor::contiguous(sums_buffer_.data(), DType::kFloat64, {2});
    for (const auto& flat : parameters_.flats())
      fill_zero(flat.gradient, stream_);
    fill_zero(sums, stream_);
    const auto samples = golden_.samples(sequences);
    const auto labelled = static_cast<std::int64_t>(sequences.size() * (sequences[0].size() - 1));
    add_gradients({stream_, arena_}, model_,
                  {.model = golden_.model, .labelled_tokens = labelled, .micro_batches = 1},
                  samples, *group_[0],
                  {.loss = sums.slice(0, 0, 1), .aux_loss = sums.slice(0, 1, 1)});
    stream_.synchronize();
    return sums.as<double>()[0] / static_cast<double>(labelled) + sums.as<double>()[1];
  }

  double update(int step) {
    const double norm = optimizer_.step(step, golden_.optimizer.learning_rate.peak, stream_);
    stream_.synchronize();
    return norm;
  }

  std::span<const float> gradient(const std::string& name) const {
    const auto gradient = parameters_.gradient(name);
    return {gradient.as<float>(), static_cast<std::size_t>(gradient.count())};
  }

 private:
  const test::GoldenCase& golden_;
  Stream stream_{Device::kCpu};
  Arena arena_{Device::kCpu};
  std::vector<std::unique_ptr<Communicator>> group_;
  ParameterSet parameters_;
  Model model_;
  ShardedAdamW optimizer_;
  Buffer sums_buffer_;
};

void check_gradients(const test::GoldenCase& golden, const Replica& replica) {
  for (const auto& parameter : parameters(golden.model, golden.optimizer.decay_on)) {
    const auto expected = golden.gradient(parameter);
    if (expected.empty()) continue;
    INFO(parameter.name);
    CHECK(relative_distance(replica.gradient(parameter.name), expected) <= kGradient);
  }
}

void check_greedy(const test::GoldenCase& golden, Replica& replica) {
  const auto expected = golden.greedy();
  if (expected.empty()) return;
  const auto vocabulary = static_cast<std::ptrdiff_t>(golden.model.vocabulary);
  test::Ids ids(expected.begin(), expected.end() - test::GoldenCase::kGreedyTokens);
  while (ids.size() < expected.size()) {
    const auto logits = replica.logits({ids});
    const auto last = logits.end() - vocabulary;
    ids.push_back(static_cast<std::int32_t>(std::max_element(last, logits.end()) - last));
  }
  CHECK(ids == expected);
}

void check_case(const fs::path& folder) {
  const test::GoldenCase golden(folder);
  Replica replica(golden);
  const auto first = golden.input(0);
  CHECK(relative_distance(replica.logits(first), golden.tensor("logits")) <= kLogits);
  for (int step = 0; step < golden.num_steps(); ++step) {
    CAPTURE(step);
    const auto index = static_cast<std::size_t>(step);
    CHECK(replica.gradients(golden.input(step)) ==
          doctest::Approx(golden.losses[index]).epsilon(kLoss));
    if (step == 0) check_gradients(golden, replica);
    CHECK(replica.update(step + 1) == doctest::Approx(golden.norms[index]).epsilon(kLoss));
  }
  CHECK(replica.gradients(first) == doctest::Approx(golden.final_loss).epsilon(kLoss));
  // AdamW divides a gradient by its size, so steps amplify rounding; 2e-5 is usual.
  CHECK(relative_distance(replica.logits(first), golden.tensor("final_logits")) <= 1e-4);
  check_greedy(golden, replica);
}

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("logits, gradients, losses, norms and greedy tokens equal those of transformers") {
    const auto folders = case_folders();
    REQUIRE(!folders.empty());
    for (const auto& folder : folders) {
      CAPTURE(folder);
      MESSAGE("case " << folder.filename().string());
      check_case(folder);
    }
  }
}

}  // namespace fulgur
