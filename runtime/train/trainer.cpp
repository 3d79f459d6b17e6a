#include "runtime/train/trainer.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "recipes/job_json.hpp"
#include "runtime/checkpoint/reader.hpp"
#include "runtime/optim/learning_rate.hpp"
#include "runtime/train/checkpointer.hpp"
#include "runtime/train/gradient_step.hpp"
#include "runtime/train/initialise.hpp"
#include "runtime/train/restore.hpp"

namespace fulgur {
namespace {

using Clock = std::chrono::steady_clock;

// What a step adds up over its micro-batches and agrees on over the ranks, in one small buffer.
struct Sums {
  explicit Sums(Device device)
      : buffer(device, 3 * sizeof(double)),
        all(Tensor::contiguous(buffer.data(), DType::kFloat64, {3})) {}

  Buffer buffer;
  Tensor all;
  Tensor loss = all.slice(0, 0, 1);
  Tensor stop = all.slice(0, 1, 1);  // the number of ranks that were asked to stop
  Tensor shared = all.slice(0, 0, 2);
  Tensor aux_loss = all.slice(0, 2, 1);
};

class Trainer {
 public:
  Trainer(const Job& job, Rank rank, const MakeGroup& make_group, Host& host)
      : job_(job),
        host_(host),
        rank_(rank),
        dp_(make_group("dp", dense_coordinate(rank, job.layout).dp, job.layout.dp)),
        tokenizer_(make_tokenizer(job.data.tokenizer)),
        corpus_(job.data, *tokenizer_),
        sampler_(corpus_, job.train.sequence_length, job.train.seed),
        parameters_(job.model, job.optimizer.decay_on, kDevice, job.layout.dp),
        model_(job.model, parameters_, kDevice),
        optimizer_(parameters_, job.optimizer, *dp_, kDevice),
        checkpointer_(std::filesystem::path(job.run_directory) / "checkpoints", rank,
                      optimizer_.owned(), host) {}

  void start(const std::optional<std::filesystem::path>& resume) {
    if (resume) {
      progress_ = restore(job_, *resume, corpus_, optimizer_.owned());
    } else {
      initialise_weights(optimizer_.owned(), job_.train.seed, stream_);
    }
    optimizer_.gather_weights(stream_);
    stream_.synchronize();
  }

  TrainEnd run() {
    bool stopping = false;
    while (progress_.step < job_.train.steps && !stopping) {
      host_.enter(fmt::format("step {}", progress_.step + 1));
      stopping = step();
      const bool last = stopping || progress_.step == job_.train.steps;
      const auto every = job_.checkpoint.every;
      if (last || (every > 0 && progress_.step % every == 0)) save();
    }
    finish();
    return progress_.step < job_.train.steps ? TrainEnd::kStopped : TrainEnd::kComplete;
  }

 private:
  static constexpr auto kDevice = Device::kCpu;

  // True when a rank was asked to stop.
  bool step() {
    const auto begin = Clock::now();
    const auto& spec = job_.train;
    add_all_gradients();
    ++progress_.step;
    progress_.samples += spec.batch;
    progress_.tokens += spec.batch * spec.sequence_length;
    const double rate = learning_rate(job_.optimizer.learning_rate, progress_.tokens);
    const double norm = optimizer_.step(progress_.step, rate, stream_);
    const bool stopping = agree_on_sums();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const StepReport report{
        .step = progress_.step,
        .tokens = progress_.tokens,
        .loss = *sums_.loss.as<double>() / static_cast<double>(labelled_tokens_),
        .aux_loss = *sums_.aux_loss.as<double>(),
        .gradient_norm = norm,
        .learning_rate = rate,
        .seconds = seconds,
        .tokens_per_second = static_cast<double>(spec.batch * spec.sequence_length) / seconds};
    if (!std::isfinite(report.loss) || !std::isfinite(norm)) {
      throw DivergedError(fmt::format("step {}: loss {}, gradient norm {}: the run has diverged",
                                      report.step, report.loss, norm));
    }
    if (rank_ == Rank{0}) host_.report(report);
    return stopping;
  }

  void add_all_gradients() {
    const auto& spec = job_.train;
    const auto local = spec.micro_batch / dp_->size();
    labelled_tokens_ = sampler_.labelled_tokens(progress_.samples, spec.batch);
    const GradientStep step{.model = job_.model,
                            .labelled_tokens = labelled_tokens_,
                            .micro_batches = spec.batch / spec.micro_batch};
    for (const auto& flat : parameters_.flats())
      fill_zero(flat.gradient, stream_);
    fill_zero(sums_.all, stream_);
    std::vector<Sample> samples(static_cast<std::size_t>(local));
    for (std::int64_t m = 0; m < step.micro_batches; ++m) {
      auto index = progress_.samples + m * spec.micro_batch + dp_->rank() * local;
      for (auto& sample : samples)
        sample = sampler_.sample(index++);
      add_gradients({stream_, arena_}, model_, step, samples, *dp_,
                    {.loss = sums_.loss, .aux_loss = sums_.aux_loss});
    }
  }

  bool agree_on_sums() {
    const double wanted = host_.stop_requested() ? 1 : 0;
    stream_.run([stop = sums_.stop, wanted] { *stop.as<double>() = wanted; });
    dp_->all_reduce(sums_.shared, sums_.shared, ReduceOp::kSum, stream_, "loss and stop");
    stream_.synchronize();
    return *sums_.stop.as<double>() > 0;
  }

  void save() {
    Manifest manifest{.step = progress_.step,
                      .job = to_json(job_),
                      .identity_hash = identity_hash(job_),
                      .samples = progress_.samples,
                      .tokens = progress_.tokens,
                      .data_fingerprint = fmt::format("{:016x}", corpus_.fingerprint()),
                      .tensors = training_tensors(job_.model)};
    checkpointer_.save(std::move(manifest), stream_);
    saved_ = progress_.step;
  }

  void finish() {
    host_.enter(fmt::format("checkpoint {}", progress_.step));
    checkpointer_.wait();
    if (saved_ && !host_.wait_for_commit(*saved_)) {
      throw CheckpointError(CheckpointError::Kind::kIo,
                            fmt::format("the last checkpoint (step {}) was not written", *saved_));
    }
  }

  const Job& job_;
  Host& host_;
  Rank rank_;
  Stream stream_{kDevice};
  Arena arena_{kDevice};
  std::unique_ptr<Communicator> dp_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Corpus corpus_;
  Sampler sampler_;
  ParameterSet parameters_;
  Model model_;
  ShardedAdamW optimizer_;
  Checkpointer checkpointer_;
  Sums sums_{kDevice};
  Progress progress_;
  std::int64_t labelled_tokens_ = 0;
  std::optional<std::int64_t> saved_;
};

}  // namespace

TrainEnd train(const Job& job, Rank rank, const std::optional<std::filesystem::path>& resume,
               const MakeGroup& make_group, Host& host) {
  host.enter("setup");
  Trainer trainer(job, rank, make_group, host);
  trainer.start(resume);
  return trainer.run();
}

}  // namespace fulgur
