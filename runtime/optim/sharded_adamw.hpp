#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "kernels/adamw.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/model/parameter_set.hpp"

namespace fulgur {

// A part of a parameter inside one rank's share of the optimizer's work.
struct OwnedRange {
  const LocalParameter* parameter;
  std::int64_t begin = 0, end = 0;  // flat elements of this rank's part of the parameter
  Tensor weight, exp_avg,
      exp_avg_sq;   // [end - begin] float32, views; the weights are the exact ones
  Tensor gradient;  // the sum over the ranks, from add_squares() to the next begin_step()
  Tensor rounded;   // the weights as the layers see them; without memory when these are exact
};

// AdamW with its moments sharded over the ranks that hold the same parameters (ZeRO-1, arXiv 1910.02054;
// docs/math.md 2.7). Each flat buffer of the ParameterSet is cut into buckets, each bucket into one equal
// share per rank. Gradients are summed bucket by bucket beside the backward pass that still makes the
// others, and weights are gathered beside the forward pass that needs them later.
//
// Weights that the layers have in bfloat16 are kept here in float32 too, each by its owner.
//
// Per step and rank: 4 P bytes sent for the reduce-scatter of gradients and 4 P, of bfloat16 2 P, for the
// all-gather of weights (P parameters here); 8 P / replicas bytes of moments, and 4 P / replicas of exact
// weights beside rounded ones.
//
// Threads. One thread. All ranks that hold the same parameters make the same calls in the same order.
class ShardedAdamW {
 public:
  // `parameters` and `mesh` must outlive the optimizer. Moments are zero.
  ShardedAdamW(const ParameterSet& parameters, const OptimizerSpec& spec, Mesh& mesh);

  // Before the first backward pass of a step: sets the gradients to zero.
  void begin_step(Stream& compute);

  // All work that adds to the gradients of a place in this step is queued on `compute`: a bucket that is
  // complete goes out. `place` is a layer, kEmbeddingPlace or kHeadPlace.
  void gradients_ready(std::int64_t place, Stream& compute);

  // Holds `compute` until the weights of a place have been gathered.
  void wait_for_weights(std::int64_t place, Stream& compute);

  // Behind the last gradients_ready(): adds the squares of the gradients that this rank owns up to `sum`
  // [1] float64. Over the world, every parameter of the model counts once.
  void add_squares(const Tensor& sum, Stream& compute);

  // Behind add_squares(): clips the global norm to spec.clip_norm, updates, and gives every rank the new
  // weights. `step` counts from 1, and `squares` [1] float64 is the sum of the whole world, read when the
  // update runs: nobody waits here.
  void step(std::int64_t step, double learning_rate, const Tensor& squares, Stream& compute);

  // Gives every rank the weights that their owners hold: after initialisation or a resume.
  void gather_weights(Stream& compute);

  // What this rank owns. All ranks together own every element of the model exactly once.
  std::span<const OwnedRange> owned() const noexcept { return owned_; }

 private:
  struct Bucket {
    const FlatParameters* flat;
    std::int64_t begin, count;  // in the flat buffer
    Tensor gradient;            // [count / replicas] the sum, this rank's share
    Tensor weight;              // [count / replicas] this rank's share, float32
    Tensor shown;               // [count / replicas] the same in the flat buffer, in its dtype
    std::set<std::int64_t> places;
    std::set<std::int64_t> missing;  // of these, gradients in this step
    Event reduced, gathered;
  };
  void add_buckets(const FlatParameters& flat, std::int64_t largest);
  void add_bucket(const FlatParameters& flat, std::int64_t begin, std::int64_t count);
  AdamW update_of(const OwnedRange& range) const;
  void reduce(Bucket& bucket, Stream& compute);
  void share_weights(Stream& compute);

  OptimizerSpec spec_;
  Mesh& mesh_;
  std::vector<Buffer> buffers_;
  std::vector<Bucket> buckets_;
  std::vector<OwnedRange> owned_;
  // The owned ranges without what differs from step to step, those that lie side by side and decay alike as
  // one: a parameter can be as small as a norm's weight, and every update is a launch.
  std::vector<AdamW> updates_;
  Tensor clip_scale_;  // [1] float32; without memory: nothing is clipped
};

}  // namespace fulgur
