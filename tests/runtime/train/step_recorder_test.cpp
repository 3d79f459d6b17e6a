#include "runtime/train/step_recorder.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>

#include "runtime/checkpoint/reader.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thread_run.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur {
namespace {

constexpr int kSteps = 2;

// A small model on a text of documents of many lengths.
struct Case {
  test::TemporaryDirectory folder;
  Job job;
  std::vector<StepReport> reports;

  Case() {
    const auto text = folder.path() / "text";
    std::ofstream out(text);
    for (int i = 0; i < 100; ++i)
      out << "number " << i * i * 31 << (i % 3 == 0 ? "\n%\n" : " follows ");
    out.close();
    job.name = "case";
    job.run_directory = (folder.path() / "run").string();
    job.device = DeviceKind::kCpu;
    job.model = {.vocabulary = 264,
                 .layers = 4,
                 .hidden = 16,
                 .heads = 4,
                 .kv_heads = 2,
                 .head_dim = 4,
                 .rotary_dim = 2,
                 .softmax_every = 2,
                 .experts = 4,
                 .experts_per_token = 2,
                 .expert_hidden = 12,
                 .aux_loss_coef = 0.01};
    job.data = {.files = {text.string()}, .document_separator = "%"};
    job.train = {.steps = kSteps, .sequence_length = 21, .batch = 8, .micro_batch = 4, .seed = 3};
    job.optimizer.learning_rate.peak = 1e-3;
    job.optimizer.eps = 1e-4;
    job.checkpoint.keep = kSteps;
  }

  void record() {
    test::ThreadHost host(job, world_size(job.layout));
    test::run_world(world_size(job.layout), [&](Rank rank, const MakeGroup& make_group) {
      record_steps(job, {.rank = rank, .make_group = make_group}, host);
    });
    CHECK(host.failures().empty());
    reports = host.reports();
  }

  CheckpointReader step(int number) const {
    return CheckpointReader(
        checkpoint_folder(std::filesystem::path(job.run_directory) / "checkpoints", number));
  }
};

std::vector<float> values(CheckpointReader& reader, const TensorRecord& tensor) {
  std::vector<float> all(static_cast<std::size_t>(element_count(tensor)));
  reader.read(tensor.name, 0, all);
  return all;
}

bool is_router(const TensorRecord& tensor) {
  return tensor.name.find(".router.micro_batch") != std::string::npos;
}

void check_same_records(const Case& got, const Case& expected) {
  for (int number = 1; number <= kSteps; ++number) {
    CAPTURE(number);
    auto a = got.step(number), b = expected.step(number);
    const auto& tensors = b.manifest().tensors;
    REQUIRE(a.manifest().tensors.size() == tensors.size());
    for (const auto& tensor : tensors) {
      CAPTURE(tensor.name);
      // Float32 through four layers; gradients cancel.
      const double allowed = tensor.name.starts_with("forward/") ? 1e-5 : 1e-4;
      CHECK(test::relative_error(values(a, tensor), values(b, tensor)) <= allowed);
    }
  }
}

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
}

}  // namespace fulgur
