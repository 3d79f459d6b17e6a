#pragma once

#include <functional>
#include <vector>

#include "kernels/context.hpp"
#include "recipes/job.hpp"
#include "runtime/parallel/experts/row_exchange.hpp"

namespace fulgur {

// A rank's part of a layer's experts, or of their gradients: E/ep experts, F/etp inner columns of
// each.
struct ExpertWeights {
  Tensor w13;  // [E/ep, 2, F/etp, C]: W1, then W3
  Tensor w2;   // [E/ep, C, F/etp]
};

// What lies between a router and the sum over its choices (docs/math.md 1.3 and 2.4): the tokens go
// to the ranks of their experts, which work on them, and come back.
//
//   out_t = sum over j of weights_tj W2_e(silu(x_t W1_e) * (x_t W3_e)),   e = experts_tj
//
//   x, out, dx, dout [T, C]    weights, dweights [T, k]    experts [T, k] int32, -1 when dropped
//
// T is this rank's own number of tokens, which may be 0; no token lies on two ranks. k is the same
// on all ranks. The tokens are cut into ExpertGroups::token_groups ranges: while one is worked on,
// the rows of the next are on their way and those of the one before return. The cut changes no
// output; weight gradients are summed group by group, so it changes their rounding.
//
// Every rank of the block calls forward and backward in the same order. forward waits on the host
// for the numbers of rows, once, which take part in every size behind them; with ep = etp = 1 there
// is nothing to exchange, and no wait.
//
// Cost: that of RowExchange for all groups, and 6 R C F/etp multiply-adds for R rows, twice in
// backward.
class ExpertExchange {
 public:
  // `weights` and `gradients` as they are on this rank. With kSelective, backward calculates again
  // what the activation function gives. Throws std::invalid_argument when the dims do not fit
  // together. What `groups` names outlives this.
  ExpertExchange(const ExpertGroups& groups, const ExpertWeights& weights,
                 const ExpertWeights& gradients, Recompute recompute = Recompute::kNone);

  // What backward needs of a token group.
  struct Group {
    Tensor rows, slots;  // [T_g, k], [T_g k]: kernels/token_permutation.hpp; own order
    Tensor output;       // [T_g k, C] of the experts, in own order
    // What this rank's experts worked on, in expert order.
    Tensor input, inner;  // [R, C], [R, 2, F/etp]
    Tensor activated;     // [R, F/etp]; data is null when backward calculates it again
  };
  struct Saved {
    std::int64_t k = 1;
    std::vector<std::int64_t> cuts;  // [groups + 1] first token of each group, and the end
    std::vector<GroupPlan> plans;    // none with ep = etp = 1
    std::vector<RowTables> tables;   // with ep = etp = 1 only offsets
    std::vector<Group> groups;

    // The rows of a tensor [T, ...] that belong to the tokens of group g.
    Tensor tokens_of(std::size_t g, const Tensor& tensor) const {
      return tensor.slice(0, cuts[g], cuts[g + 1] - cuts[g]);
    }
    std::int64_t most_worked_rows() const;  // the largest R
  };
  // out is overwritten.
  struct Forward {
    Tensor x, weights, experts, out;
  };
  void forward(const Context& ctx, const Forward& args, Saved& saved) const;

  // Queues what adds a token group's share to the weight gradients.
  using WeightWork = std::function<void(Stream&)>;
  // Takes the work of each group: queues it on ctx.stream at once, or keeps it for later.
  using TakeWork = std::function<void(WeightWork)>;

  // dx and dweights are overwritten; weight gradients are added to. The work reads `saved` and
  // tensors from operands.arena, which may be ctx.arena; both streams are the same.
  struct Backward {
    Tensor dout, weights, dx, dweights;
  };
  void backward(const Context& ctx, const Context& operands, const Backward& args,
                const Saved& saved, const TakeWork& take_work) const;

 private:
  // With respect to what the experts of a group gave and what lies inside them, in expert order.
  struct Gradients {
    Tensor output, inner;  // [R, C], [R, 2, F/etp]
    Tensor activated;      // no gradient: Group::activated, perhaps calculated again
  };

  std::int64_t num_experts() const { return weights_.w13.dims[0] * groups_.ep.size(); }  // E
  DType dtype() const { return weights_.w2.dtype; }           // of activations
  std::int64_t width() const { return weights_.w2.dims[1]; }  // C
  std::int64_t inner() const { return weights_.w2.dims[2]; }  // F/etp
  RowExchange::Most most_rows(const Saved& saved) const;
  static Tensor rows_of(const Tensor& inner) {
    return inner.view({inner.dims[0], 2 * inner.dims[2]});
  }

  void sort(const Context& ctx, const Tensor& experts, const Tensor& offsets, Saved& saved) const;
  void plan(const Context& ctx, const Tensor& offsets, Saved& saved) const;
  void upload_tables(const Context& ctx, Saved& saved) const;
  void keep_rows(const Context& ctx, std::int64_t rows, Group& group) const;
  void work(const Context& ctx, const Group& group, const Tensor& offsets,
            const Tensor& output) const;
  Gradients make_gradients(const Context& operands, const Group& group) const;
  void combine(const Context& ctx, const Forward& args, const Saved& saved, std::size_t g) const;
  void forward_here(const Context& ctx, const Forward& args, Saved& saved) const;
  void forward_apart(const Context& ctx, const Forward& args, Saved& saved) const;

  void uncombine(const Context& ctx, const Backward& args, const Saved& saved, std::size_t g,
                 const Tensor& doutput) const;
  void work_backward(const Context& ctx, const Group& group, const Tensor& offsets,
                     const Gradients& gradients, const Tensor& dinput) const;
  WeightWork weight_work(const Group& group, const Tensor& offsets,
                         const Gradients& gradients) const;
  void backward_here(const Context& ctx, const Backward& args, const Saved& saved,
                     const Gradients& gradients, const TakeWork& take_work) const;
  void backward_apart(const Context& ctx, const Backward& args, const Saved& saved,
                      const std::vector<Gradients>& gradients, const TakeWork& take_work) const;

  ExpertGroups groups_;
  ExpertWeights weights_, gradients_;  // w13 with 2 F/etp rows
  Recompute recompute_;
};

}  // namespace fulgur
