#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/comm/communicator.hpp"
#include "runtime/model/parameter_set.hpp"

namespace fulgur {

// A part of a parameter inside one rank's share of the optimizer's work.
struct OwnedRange {
  const Parameter* parameter;
  std::int64_t begin = 0, end = 0;     // flat elements of the parameter
  Tensor weight, exp_avg, exp_avg_sq;  // [end - begin] float32, views
};

// AdamW with its moments sharded over the data-parallel ranks (ZeRO-1, arXiv 1910.02054): every rank
// reduces, updates and gives back one flat range of each flat buffer of the ParameterSet.
//
// Per step and rank: 4 P bytes sent for the reduce-scatter of gradients and 4 P for the all-gather of
// weights (P parameters), 8 P / ranks bytes of moments.
class ShardedAdamW {
 public:
  // `parameters` and `ranks` must outlive the optimizer. Moments are zero.
  ShardedAdamW(const ParameterSet& parameters, const OptimizerSpec& spec, Communicator& ranks,
               Device device);

  // Sums the gradients over the ranks, clips their global norm to spec.clip_norm, updates, and gives
  // every rank the new weights. `step` counts from 1. Returns the norm before clipping; blocks until it
  // is known.
  double step(std::int64_t step, double learning_rate, Stream& stream);

  // Gives every rank the weights that their owners hold: after initialisation or a resume.
  void gather_weights(Stream& stream);

  // What this rank owns, in table order. All ranks together own every element exactly once.
  std::span<const OwnedRange> owned() const noexcept { return owned_; }

 private:
  struct Share {  // of one flat buffer
    const FlatParameters* flat;
    std::int64_t count;  // flat->count / ranks
    Tensor weight;       // a view into flat->weight
    Tensor gradient, exp_avg, exp_avg_sq;
  };
  void add_share(const FlatParameters& flat, Device device);
  double global_norm(Stream& stream);

  OptimizerSpec spec_;
  Communicator& ranks_;
  std::vector<Buffer> buffers_;
  std::vector<Share> shares_;
  std::vector<OwnedRange> owned_;
  std::vector<Tensor> owned_gradients_;  // as owned_
  Tensor norm_squared_;                  // [1] float64
};

}  // namespace fulgur
