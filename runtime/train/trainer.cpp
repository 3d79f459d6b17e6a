#include "runtime/train/trainer.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/devices.hpp"
#include "recipes/job_json.hpp"
#include "recipes/phases.hpp"
#include "runtime/checkpoint/reader.hpp"
#include "runtime/train/checkpointer.hpp"
#include "runtime/train/initialise.hpp"
#include "runtime/train/replica.hpp"
#include "runtime/train/restore.hpp"
#include "runtime/train/step_recorder.hpp"

namespace fulgur {
namespace {

using Clock = std::chrono::steady_clock;

class Trainer {
 public:
  Trainer(const Job& job, const Place& place, Host& host)
      : job_(job),
        host_(host),
        mesh_(job.layout, place.rank, place.device, place.make_group, job.pipeline.virtual_stages),
        tokenizer_(make_tokenizer(job.data.tokenizer)),
        data_(job, *tokenizer_),
        replica_(job, mesh_),
        checkpointer_(std::filesystem::path(job.run_directory) / "checkpoints", place.rank,
                      replica_.optimizer().owned(), host),
        train_(job.train) {}

  void start(const std::optional<std::filesystem::path>& resume) {
    auto& optimizer = replica_.optimizer();
    if (resume) {
      progress_ = restore(job_, *resume, data_, optimizer.owned(), replica_.stream());
    } else {
      initialise_weights(optimizer.owned(), job_.train.seed, replica_.stream());
    }
    enter_phase();
    if (layout_ends())
      throw std::invalid_argument(fmt::format("layout {}: the phase at {} tokens has {}",
                                              to_string(job_.layout), progress_.tokens,
                                              to_string(layout_of_phase(job_, *phase_))));
    optimizer.gather_weights(replica_.stream());
    mesh_.synchronize(replica_.stream());
  }

  // From now on every step is recorded, and no checkpoint is written.
  void record(const Recording& recording) {
    if (!job_.phases.from.empty())
      throw std::invalid_argument("steps are recorded in one phase only: take the phases out");
    recorder_.emplace(job_, mesh_, replica_.optimizer().owned(), host_, recording);
  }

  // From now on no checkpoint is written.
  void save_nothing() { saves_ = false; }

  TrainEnd run() {
    bool stopping = false;
    while (progress_.step < job_.train.steps && !stopping && !layout_ends()) {
      host_.enter(fmt::format("step {}", progress_.step + 1));
      stopping = step();
      if (recorder_) {
        recorder_->save(manifest(), replica_.stream());
        continue;
      }
      const bool last = stopping || progress_.step == job_.train.steps;
      const auto every = job_.checkpoint.every;
      const bool phase_ends = enter_phase();
      if (!saves_) continue;
      if (last || phase_ends || (every > 0 && progress_.step % every == 0)) save();
    }
    finish();
    if (progress_.step == job_.train.steps) return TrainEnd::kComplete;
    return stopping ? TrainEnd::kStopped : TrainEnd::kNextLayout;
  }

 private:
  // True when a rank was asked to stop.
  bool step() {
    const auto begin = Clock::now();
    const auto& spec = train_;
    auto data = next_data();
    if (recorder_) recorder_->prepare(data, progress_.step + 1, replica_.stream());
    replica_.run_passes(data);
    ++progress_.step;
    progress_.tokens += spec.batch * spec.sequence_length;
    const double rate = learning_rate(job_, progress_.tokens);
    const auto sums = replica_.finish_step({.step = progress_.step,
                                            .learning_rate = rate,
                                            .flag = host_.stop_requested() ? 1.0 : 0.0});
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    StepReport report{
        .step = progress_.step,
        .tokens = progress_.tokens,
        .loss = sums.loss / static_cast<double>(data.labelled_tokens),
        .aux_loss = sums.aux_loss,
        .gradient_norm = sums.gradient_norm,
        .learning_rate = rate,
        .seconds = seconds,
        .tokens_per_second = static_cast<double>(spec.batch * spec.sequence_length) / seconds};
    add_routing(sums.routing, report);
    if (!std::isfinite(report.loss) || !std::isfinite(report.gradient_norm)) {
      replica_.wait();  // or another rank would take this one's end for the cause
      throw DivergedError(fmt::format("step {}: loss {}, gradient norm {}: the run has diverged",
                                      report.step, report.loss, report.gradient_norm));
    }
    host_.occupies(occupied_memory(mesh_.device()));
    if (mesh_.rank() == Rank{0}) host_.report(report);
    return sums.flags > 0;
  }

  static void add_routing(const RoutingTotals& routing, StepReport& report) {
    const auto sum = [](const std::vector<std::int64_t>& values) {
      return static_cast<double>(std::accumulate(values.begin(), values.end(), std::int64_t{0}));
    };
    const double assignments = sum(routing.counts);
    report.drop_rate = sum(routing.dropped) / assignments;
    report.local_drop_rate = sum(routing.dropped_local) / assignments;
    report.replayed =
        std::accumulate(routing.replayed.begin(), routing.replayed.end(), std::int64_t{0});
    report.expert_counts = routing.counts;
  }

  // Takes the values of the phase that the next step belongs to; true when it is another than before.
  bool enter_phase() {
    const auto phase = phase_at(job_, progress_.tokens);
    if (phase == phase_) return false;
    const bool resumed = !phase_;
    phase_ = phase;
    train_ = train_of_phase(job_, phase);
    replica_.pipeline().use_rope_base(rope_base_of_phase(job_, phase));
    return !resumed;
  }

  // Whether the next step is for workers on another layout.
  bool layout_ends() const { return layout_of_phase(job_, *phase_) != job_.layout; }

  // The samples behind the cursor.
  StepData next_data() {
    const auto& spec = train_;
    const auto local = spec.micro_batch / job_.layout.dp;
    const auto samples = [this, &spec, local](std::int64_t micro_batch) {
      auto index = micro_batch * spec.micro_batch + mesh_.dense().dp * local;
      std::vector<Sample> result;
      for (std::int64_t i = 0; i < local; ++i)
        result.push_back(data_.sample(progress_.tokens, index++, spec.sequence_length));
      return result;
    };
    return {.samples = samples,
            .micro_batches = spec.batch / spec.micro_batch,
            .sequences = spec.micro_batch,
            .length = spec.sequence_length,
            .labelled_tokens = data_.labelled_tokens(progress_.tokens, spec.batch)};
  }

  // Without the tensors.
  Manifest manifest() const {
    return {.step = progress_.step,
            .job = to_json(job_),
            .identity_hash = identity_hash(job_),
            .tokens = progress_.tokens,
            .data = data_.cursor(progress_.tokens)};
  }

  void save() {
    host_.enter(fmt::format("checkpoint {}", progress_.step));
    auto checkpoint = manifest();
    checkpoint.tensors = training_tensors(job_.model);
    checkpointer_.save(std::move(checkpoint), replica_.stream());
    saved_ = progress_.step;
  }

  void finish() {
    replica_.wait();
    host_.enter(fmt::format("checkpoint {}", progress_.step));
    checkpointer_.wait();
    if (saved_ && !host_.wait_for_commit(*saved_)) {
      throw CheckpointError(CheckpointError::Kind::kIo,
                            fmt::format("the last checkpoint (step {}) was not written", *saved_));
    }
  }

  const Job& job_;
  Host& host_;
  Mesh mesh_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Mixture data_;
  Replica replica_;
  Checkpointer checkpointer_;
  Progress progress_;
  std::optional<std::size_t> phase_;  // of the next step
  TrainSpec train_;                   // as that phase has it
  std::optional<StepRecorder> recorder_;
  std::optional<std::int64_t> saved_;
  bool saves_ = true;
};

}  // namespace

TrainEnd train(const Job& job, const Place& place,
               const std::optional<std::filesystem::path>& resume, Host& host) {
  host.enter("setup");
  Trainer trainer(job, place, host);
  trainer.start(resume);
  return trainer.run();
}

TrainEnd measure_steps(const Job& job, const Place& place, Host& host) {
  host.enter("setup");
  Trainer trainer(job, place, host);
  trainer.start(std::nullopt);
  trainer.save_nothing();
  return trainer.run();
}

TrainEnd record_steps(const Job& job, const Place& place, Host& host, const Recording& recording) {
  host.enter("setup");
  Trainer trainer(job, place, host);
  trainer.start(std::nullopt);
  trainer.record(recording);
  return trainer.run();
}

}  // namespace fulgur
