#include "orchestrator/parity/compare.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "runtime/checkpoint/writer.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace fulgur;

namespace {

struct Recorded {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

// One micro-batch of 3 tokens in a model of 3 layers and 3 experts, as far as it matters here.
std::vector<Recorded> right_step() {
  std::vector<Recorded> tensors;
  for (const auto* name :
       {"forward/layers.1.attention.micro_batch.0", "forward/layers.1.experts.micro_batch.0",
        "forward/layers.2.attention.micro_batch.0", "forward/layers.2.experts.micro_batch.0"})
    tensors.push_back({name, {1, 3, 4}, {1, -2, 3, 4, 5, -6, 7, 8, 9, 10, -11, 12}});
  tensors.insert(tensors.end() - 1, {"forward/layers.2.router.micro_batch.0",
                                     {1, 3, 3},
                                     {0.5f, 0.3f, 0.2f, 0.4f, 0.35f, 0.25f, 0.6f, 0.1f, 0.3f}});
  tensors.push_back({"gradient/head", {2, 2}, {1e-3f, 2e-3f, -3e-3f, 4e-3f}});
  tensors.push_back({"gradient/layers.2.norm1", {4}, {1, 2, 3, 4}});
  return tensors;
}

std::vector<float>& values_of(std::vector<Recorded>& step, const std::string& name) {
  for (auto& tensor : step) {
    if (tensor.name == name) return tensor.values;
  }
  throw std::out_of_range(std::string(name));
}

StepDone right_report(std::int64_t step) {
  StepDone done;
  done.step = step;
  done.loss = 5.5;
  done.aux_loss = 0.01;
  done.gradient_norm = 2;
  done.expert_counts = {2, 2, 2, 2, 2, 2, 2, 2, 2};
  return done;
}

// Writes a step as two ranks that share every tensor at flat element `cut` in boxes.
void write_step(const std::filesystem::path& root, std::int64_t step,
                const std::vector<Recorded>& tensors, std::int64_t cut) {
  std::vector<Piece> pieces[2];
  Manifest manifest;
  manifest.step = step;
  for (const auto& tensor : tensors) {
    manifest.tensors.push_back({tensor.name, tensor.shape});
    const auto count = static_cast<std::int64_t>(tensor.values.size());
    std::span<const float> rest(tensor.values);
    for (const auto& [begin, end, rank] : {std::tuple{std::int64_t{0}, cut, 0}, {cut, count, 1}}) {
      for (auto& box : boxes(tensor.shape, begin, end)) {
        const auto elements = static_cast<std::size_t>(box.elements());
        pieces[rank].push_back({tensor.name, box, rest.first(elements)});
        rest = rest.subspan(elements);
      }
    }
  }
  for (const int rank : {0, 1})
    manifest.shards.push_back(write_shard(staging_folder(root, step), rank, pieces[rank]));
  commit_checkpoint(root, staging_folder(root, step), manifest, 10);
}

// Two runs of two steps; `spoil` changes what the second run has of a step.
struct Runs {
  using Spoil =
      std::function<void(std::int64_t step, std::vector<Recorded>& tensors, StepDone& report)>;

  explicit Runs(const Spoil& spoil) {
    reference.checkpoints = folder.path() / "reference";
    run.checkpoints = folder.path() / "run";
    for (std::int64_t step = 1; step <= 2; ++step) {
      auto tensors = right_step();
      auto report = right_report(step);
      write_step(reference.checkpoints, step, tensors, 1);
      reference.steps.push_back(report);
      spoil(step, tensors, report);
      write_step(run.checkpoints, step, tensors, 3);
      run.steps.push_back(report);
    }
  }

  Comparison compare() const { return compare_runs(reference, run, 2); }

  test::TemporaryDirectory folder;
  RecordedRun reference, run;
};

const ComparedQuantity& quantity(const Comparison& comparison, std::string_view name) {
  for (const auto& each : comparison.quantities) {
    if (each.name == name) return each;
  }
  throw std::out_of_range(std::string(name));
}

}  // namespace

TEST_SUITE("orchestrator/parity/compare") {
  TEST_CASE("runs with the same values are equal however the ranks share the tensors") {
    const Runs runs([](auto, auto&, auto&) {});
    const auto comparison = runs.compare();
    CHECK_FALSE(comparison.first);
    CHECK(comparison.quantities.size() == 7);
    for (const auto& each : comparison.quantities)
      CHECK(each.error == 0);
    CHECK(comparison.near_ties == 0);
  }

  TEST_CASE("rounding is no difference, and its size is told") {
    const Runs runs([](std::int64_t step, auto& tensors, StepDone& report) {
      if (step != 2) return;
      values_of(tensors, "gradient/layers.2.norm1")[3] *= 1 + 5e-5f;
      report.loss *= 1 + 2e-6;
    });
    const auto comparison = runs.compare();
    CHECK_FALSE(comparison.first);
    const auto& gradients = quantity(comparison, "gradients");
    CHECK(gradients.error == doctest::Approx(5e-5 * 4 / std::sqrt(30.0)).epsilon(1e-2));
    CHECK(gradients.where == "gradient/layers.2.norm1");
    CHECK(gradients.step == 2);
    CHECK(quantity(comparison, "loss").error == doctest::Approx(2e-6).epsilon(1e-3));
  }

  TEST_CASE("the first operation that differs is named, not what follows from it") {
    const Runs runs([](std::int64_t step, auto& tensors, StepDone& report) {
      if (step != 1) return;
      values_of(tensors, "forward/layers.2.attention.micro_batch.0")[5] += 0.01f;
      values_of(tensors, "forward/layers.2.experts.micro_batch.0")[5] += 5.0f;
      values_of(tensors, "gradient/head")[0] = 1;
      report.loss = 7;
    });
    const auto comparison = runs.compare();
    REQUIRE(comparison.first);
    CHECK(comparison.first->step == 1);
    CHECK(comparison.first->where == "forward/layers.2.attention.micro_batch.0");
    CHECK(comparison.first->allowed == doctest::Approx(kForwardError * std::sqrt(3.0)));
    CHECK(comparison.first->error == doctest::Approx(0.01 / std::sqrt(650.0)).epsilon(1e-3));
    CHECK(quantity(comparison, "forward pass").where == "forward/layers.2.experts.micro_batch.0");
  }

  TEST_CASE("a gradient counted twice, a moved token, a lost token and a NaN are differences") {
    const Runs twice([](auto, auto& tensors, auto&) {
      for (auto& value : values_of(tensors, "gradient/head"))
        value *= 2;
    });
    REQUIRE(twice.compare().first);
    CHECK(twice.compare().first->where == "gradient/head");
    CHECK(twice.compare().first->error == doctest::Approx(1));

    const Runs moved([](std::int64_t step, auto&, StepDone& report) {
      if (step == 2) report.expert_counts = {2, 2, 2, 2, 2, 2, 3, 1, 2};
    });
    REQUIRE(moved.compare().first);
    CHECK(moved.compare().first->name == "router counts");
    CHECK(moved.compare().first->where == "forward/layers.2.router");
    CHECK(moved.compare().first->error == 1);
    CHECK(moved.compare().first->step == 2);

    // Before what its experts make of it.
    const Runs moved_first([](std::int64_t step, auto& tensors, StepDone& report) {
      if (step != 1) return;
      report.expert_counts = {2, 2, 2, 2, 2, 2, 3, 1, 2};
      values_of(tensors, "forward/layers.2.experts.micro_batch.0")[0] = 100;
    });
    REQUIRE(moved_first.compare().first);
    CHECK(moved_first.compare().first->name == "router counts");

    const Runs lost([](auto, auto&, StepDone& report) { report.drop_rate = 1e-9; });
    REQUIRE(lost.compare().first);
    CHECK(lost.compare().first->name == "drop rate");

    const Runs nan([](std::int64_t step, auto&, StepDone& report) {
      if (step == 1) report.gradient_norm = std::numeric_limits<double>::quiet_NaN();
    });
    REQUIRE(nan.compare().first);
    CHECK(nan.compare().first->name == "gradient norm");
    CHECK(std::isnan(quantity(nan.compare(), "gradient norm").error));
  }

  TEST_CASE("tokens between two experts are counted in the reference, replays in the run") {
    Runs runs([](auto, auto&, auto&) {});
    auto tensors = right_step();
    // The gap behind the second of two experts counts, not the one between the first and the second.
    values_of(tensors, "forward/layers.2.router.micro_batch.0") = {
        0.5f, 0.25f, 0.249999f, 0.4f, 0.4f, 0.2f, 0.2f, 0.6f, 0.2f};
    write_step(runs.reference.checkpoints, 2, tensors, 1);
    CHECK(runs.compare().near_ties == 2);
    CHECK(runs.compare().replayed == 0);
    runs.run.steps[0].replayed = 3;
    runs.run.steps[1].replayed = 4;
    CHECK(runs.compare().replayed == 7);
    CHECK(compare_runs(runs.reference, runs.run, 3).near_ties == 0);
  }

  TEST_CASE("runs that cannot be compared are refused") {
    Runs runs([](std::int64_t step, auto& tensors, auto&) {
      if (step == 2) tensors.back().name = "gradient/other";
    });
    CHECK_THROWS_AS(runs.compare(), CheckpointError);
    runs.run.steps.pop_back();
    CHECK_THROWS_AS(runs.compare(), std::invalid_argument);
  }

  TEST_CASE("tensors are named for people by layer and operation") {
    CHECK(describe_tensor("forward/layers.12.attention.micro_batch.3") ==
          "forward pass: layer 12, attention, micro-batch 3");
    CHECK(describe_tensor("forward/final_norm.micro_batch.0") ==
          "forward pass: final_norm, micro-batch 0");
    CHECK(describe_tensor("gradient/layers.0.experts.w13") == "gradient: layer 0, experts.w13");
    CHECK(describe_tensor("gradient/embedding") == "gradient: embedding");
  }
}
