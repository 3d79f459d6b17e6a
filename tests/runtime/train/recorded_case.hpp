#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "runtime/checkpoint/reader.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thread_run.hpp"
#include "tests/support/tolerance.hpp"

namespace fulgur::test {

inline constexpr int kSteps = 2;

// A small model on a text of documents of many lengths.
struct RecordedCase {
  TemporaryDirectory folder;
  Job job;
  std::vector<StepReport> reports;

  RecordedCase() {
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

  void record(const Recording& recording = {}) {
    ThreadHost host(job, world_size(job.layout));
    run_world(world_size(job.layout), [&](Rank rank, const MakeGroup& make_group) {
      record_steps(job, {.rank = rank, .make_group = make_group}, host, recording);
    });
    CHECK(host.failures().empty());
    reports = host.reports();
  }

  std::filesystem::path checkpoints() const {
    return std::filesystem::path(job.run_directory) / "checkpoints";
  }
  CheckpointReader step(int number) const {
    return CheckpointReader(checkpoint_folder(checkpoints(), number));
  }
};

inline std::vector<float> values(CheckpointReader& reader, const TensorRecord& tensor) {
  std::vector<float> all(static_cast<std::size_t>(element_count(tensor)));
  reader.read(tensor.name, 0, all);
  return all;
}

inline bool is_router(const TensorRecord& tensor) {
  return tensor.name.find(".router.micro_batch") != std::string::npos;
}

inline void check_same_records(const RecordedCase& got, const RecordedCase& expected) {
  for (int number = 1; number <= kSteps; ++number) {
    CAPTURE(number);
    auto a = got.step(number), b = expected.step(number);
    const auto& tensors = b.manifest().tensors;
    REQUIRE(a.manifest().tensors.size() == tensors.size());
    for (const auto& tensor : tensors) {
      CAPTURE(tensor.name);
      // Float32 through four layers; gradients cancel.
      const double allowed = tensor.name.starts_with("forward/") ? 1e-5 : 1e-4;
      CHECK(relative_error(values(a, tensor), values(b, tensor)) <= allowed);
    }
  }
}

}  // namespace fulgur::test
