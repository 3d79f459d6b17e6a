#include "runtime/train/step_recorder.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/runtime/train/recorded_case.hpp"

namespace fulgur {
namespace {

using Case = test::RecordedCase;
using test::check_same_records;
using test::is_router;
using test::kSteps;
using test::values;

}  // namespace

TEST_SUITE("runtime/train/step_recorder") {
  TEST_CASE("a record of one rank holds what the step reports") {
    Case one;
    one.record();
    REQUIRE(one.reports.size() == kSteps);
    for (int number = 1; number <= kSteps; ++number) {
      CAPTURE(number);
      auto reader = one.step(number);
      double squares = 0;
      std::int64_t activations = 0;
      for (const auto& tensor : reader.manifest().tensors) {
        const auto all = values(reader, tensor);
        if (!tensor.name.starts_with("forward/")) {
          for (const double value : all)
            squares += value * value;
          continue;
        }
        ++activations;
        CHECK(tensor.shape[0] == 4);
        CHECK(tensor.shape[1] == 21);
        if (!is_router(tensor)) continue;
        for (std::size_t row = 0; row < all.size(); row += 4)
          CHECK(all[row] + all[row + 1] + all[row + 2] + all[row + 3] == doctest::Approx(1));
      }
      // The norm, every parameter once.
      const double norm = one.reports[static_cast<std::size_t>(number - 1)].gradient_norm;
      CHECK(std::sqrt(squares) == doctest::Approx(norm).epsilon(1e-6));
      // Two micro-batches: 4 outputs of each layer, embedding and final norm; later the routers only.
      CHECK(activations == (number == 1 ? 2 * (4 * 4 + 2) : 2 * 4));
    }
  }

  TEST_CASE("forward passes come before gradients, in the order of the layers and back") {
    Case one;
    const auto tensors = recorded_tensors(one.job, 1);
    CHECK(tensors.front().name == "forward/embedding.micro_batch.0");
    CHECK(tensors[2].name == "forward/layers.0.attention.micro_batch.0");
    CHECK(tensors[35].name == "forward/final_norm.micro_batch.1");
    CHECK(tensors[36].name.starts_with("gradient/"));
    CHECK(tensors.back().name == "gradient/embedding");
  }

  TEST_CASE("the record does not depend on layout, schedule and recomputation") {
    Case one;
    one.record();
    const auto check = [&](const Layout& layout, const PipelineSpec& pipeline, Recompute recompute,
                           ContextOrder order) {
      Case many;
      many.job.layout = layout;
      many.job.pipeline = pipeline;
      many.job.memory.recompute = recompute;
      many.job.context.order = order;
      CAPTURE(to_string(layout));
      many.record();
      check_same_records(many, one);
    };
    check({.dp = 2}, {}, Recompute::kSelective, ContextOrder::kZigzag);
    check({.cp = 2, .tp = 2, .ep = 2, .etp = 2}, {}, Recompute::kNone, ContextOrder::kZigzag);
    check({.pp = 2, .cp = 2}, {.schedule = PipelineSchedule::kInterleaved, .virtual_stages = 2},
          Recompute::kFull, ContextOrder::kContiguous);
    check({.pp = 2, .dp = 2, .tp = 2}, {.schedule = PipelineSchedule::kZeroBubble},
          Recompute::kNone, ContextOrder::kZigzag);
    check({.pp = 3}, {.layers = {0, 3, 1}}, Recompute::kNone, ContextOrder::kZigzag);
  }

  TEST_CASE("recording does not change the run") {
    Case plain, recorded;
    recorded.record();
    test::ThreadHost host(plain.job, 1);
    const auto reports = test::train_on_threads(plain.job, host);
    REQUIRE(reports.size() == recorded.reports.size());
    for (std::size_t i = 0; i < reports.size(); ++i) {
      CHECK(reports[i].loss == recorded.reports[i].loss);
      CHECK(reports[i].gradient_norm == recorded.reports[i].gradient_norm);
    }
  }

  TEST_CASE("a reference adds micro-batches up in double precision, and else computes the same") {
    Case plain, reference;
    for (auto* each : {&plain, &reference})
      each->job.train.micro_batch = 1;
    plain.record();
    reference.record({.double_sums = true});
    check_same_records(reference, plain);
    CHECK(reference.reports.front().loss == plain.reports.front().loss);
    // What float32 rounds away at seven sums.
    auto a = reference.step(1), b = plain.step(1);
    double largest = 0;
    for (const auto& tensor : b.manifest().tensors) {
      if (!tensor.name.starts_with("gradient/")) continue;
      largest = std::max(largest, test::relative_error(values(a, tensor), values(b, tensor)));
    }
    CHECK(largest > 1e-9);
    CHECK(largest < 1e-6);

    Case two;
    two.job.layout = {.dp = 2};
    CHECK_THROWS_AS(two.record({.double_sums = true}), std::invalid_argument);
  }
}

}  // namespace fulgur
