#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/devices.hpp"
#include "kernels/transfer.hpp"
#include "runtime/comm/memory_store.hpp"
#include "runtime/comm/nccl.hpp"
#include "runtime/comm/solo.hpp"
#include "runtime/train/initialise.hpp"
#include "runtime/train/owned_boxes.hpp"
#include "runtime/train/replica.hpp"
#include "tests/support/thread_groups.hpp"

namespace fulgur::test {

using Values = std::vector<float>;

// What a step came to, all ranks together.
struct StepResult {
  double loss = 0;  // per labelled token
  double aux_loss = 0;
  double norm = 0;
  std::map<std::string, Values> gradients;  // of whole parameters
  RoutingTotals routing;
  std::size_t activation_bytes = 0;  // of rank 0
  std::int64_t graph_launches = 0;   // of rank 0, so far
};

// What a run is made of beside its job.
struct LayoutRun {
  std::vector<std::vector<Sample>> steps;  // the batch of each step
  Device device = Device::kCpu;
  std::function<Values(const Parameter&)> weights = {};  // whole; by the job's seed when empty
  // Sets the hooks of a step.
  std::function<void(StepData& data, std::size_t step, const Mesh& mesh, Stream& stream)> prepare =
      {};
};

// Copies an owned range from or to the whole parameter.
inline void copy_owned(const OwnedRange& range, const Values& from, Values& to, bool to_whole) {
  std::int64_t offset = 0;
  const auto& shape = range.parameter->parameter.shape;
  for (const auto& box : owned_boxes(range)) {
    for (const auto& run : flat_ranges(shape, box)) {
      const auto source = to_whole ? offset : run.begin, target = to_whole ? run.begin : offset;
      std::copy_n(from.begin() + source, run.end - run.begin, to.begin() + target);
      offset += run.end - run.begin;
    }
  }
}

// One rank of a run.
class LayoutRank {
 public:
  LayoutRank(const Job& job, const LayoutRun& run, Rank rank, const MakeGroup& make_group)
      : job_(job),
        run_(run),
        mesh_(job.layout, rank, run.device, make_group, job.pipeline.virtual_stages),
        replica_(job, mesh_) {
    set_weights();
  }

  // All ranks fill `result`; `mutex` guards its gradients.
  void step(std::size_t index, StepResult& result, std::mutex& mutex) {
    const auto& batch = run_.steps[index];
    std::int64_t labelled = 0;
    for (const auto& sample : batch) {
      for (const auto label : sample.labels)
        labelled += label >= 0 ? 1 : 0;
    }
    const auto local = job_.train.micro_batch / job_.layout.dp;
    StepData data{
        .samples =
            [&](std::int64_t micro_batch) {
              const auto first = micro_batch * job_.train.micro_batch + mesh_.dense().dp * local;
              return std::vector<Sample>(batch.begin() + first, batch.begin() + first + local);
            },
        .micro_batches = static_cast<std::int64_t>(batch.size()) / job_.train.micro_batch,
        .sequences = job_.train.micro_batch,
        .length = static_cast<std::int64_t>(batch.front().ids.size()),
        .labelled_tokens = labelled};
    if (run_.prepare) run_.prepare(data, index, mesh_, replica_.stream());
    replica_.run_passes(data);
    const auto sums = replica_.finish_step({.step = static_cast<std::int64_t>(index) + 1,
                                            .learning_rate = job_.optimizer.learning_rate.peak});
    const std::lock_guard lock(mutex);
    if (mesh_.rank() == Rank{0}) {
      result.loss = sums.loss / static_cast<double>(labelled);
      result.aux_loss = sums.aux_loss;
      result.norm = sums.gradient_norm;
      result.routing = sums.routing;
      result.activation_bytes = replica_.pipeline().activation_bytes();
      result.graph_launches = replica_.pipeline().graph_launches();
    }
    for (const auto& range : replica_.optimizer().owned()) {
      const auto& parameter = range.parameter->parameter;
      auto& whole = result.gradients[parameter.name];
      whole.resize(static_cast<std::size_t>(parameter.count()));
      copy_owned(range, download<float>(range.gradient, replica_.stream()), whole, true);
    }
  }

  void wait() { replica_.wait(); }

  // Of all tokens of `samples`. Only on a layout of one rank.
  Values logits(const std::vector<Sample>& samples) {
    const auto& model = job_.model;
    Arena arena(mesh_.device());
    const Context ctx{replica_.stream(), arena};
    const auto grid =
        token_grid(job_.layout, job_.context.order, static_cast<std::int64_t>(samples.size()),
                   static_cast<std::int64_t>(samples.front().ids.size()));
    const auto batch = make_batch(ctx, mesh_, grid, samples);
    const ModelPiece whole{.first = 0, .last = model.layers};
    const Model layers(model, whole, replica_.parameters(), {.mesh = mesh_});
    Model::Saved saved;
    layers.forward(ctx, batch, {}, RoutingStatistics::allocate(ctx, model.layers, model.experts),
                   saved);
    const auto logits = arena.allocate({batch.tokens, model.vocabulary});
    layers.logits(ctx, saved.hidden, logits);
    return download<float>(logits, replica_.stream());
  }

 private:
  void set_weights() {
    auto& stream = replica_.stream();
    if (!run_.weights) {
      initialise_weights(replica_.optimizer().owned(), job_.train.seed, stream);
    } else {
      for (const auto& range : replica_.optimizer().owned()) {
        Values part(static_cast<std::size_t>(range.weight.count()));
        copy_owned(range, run_.weights(range.parameter->parameter), part, false);
        upload(std::move(part), range.weight, stream);
      }
    }
    replica_.optimizer().gather_weights(stream);
    mesh_.synchronize(stream);
  }

  const Job& job_;
  const LayoutRun& run_;
  Mesh mesh_;
  Replica replica_;
};

// Trains on the job's layout, one thread per rank, and on GPUs with one GPU for each.
inline std::vector<StepResult> run_layout(const Job& job, const LayoutRun& run) {
  std::vector<StepResult> results(run.steps.size());
  std::mutex mutex;
  MemoryStore store;
  const MakeGroup over_nccl = [&](const std::string& name, int rank, int size) {
    if (size == 1) return make_solo_communicator(name, Device::kCuda);
    return make_nccl_communicator(store, {name, rank, size, std::chrono::seconds(60)});
  };
  run_world(world_size(job.layout), [&](Rank rank, const MakeGroup& over_threads) {
    const bool on_gpu = run.device == Device::kCuda;
    if (on_gpu) use_cuda_device(rank.value());
    const auto& make_group = on_gpu ? over_nccl : over_threads;
    LayoutRank world_rank(job, run, rank, make_group);
    for (std::size_t step = 0; step < results.size(); ++step)
      world_rank.step(step, results[step], mutex);
    world_rank.wait();
  });
  return results;
}

}  // namespace fulgur::test
