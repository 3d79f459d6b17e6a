// As no_cuda.cpp, for the operations on rows, elements and experts.
#include <stdexcept>
#include <string>

#include "kernels/activation_impl.hpp"
#include "kernels/adamw_impl.hpp"
#include "kernels/auxiliary_loss_impl.hpp"
#include "kernels/cross_entropy_impl.hpp"
#include "kernels/embedding_impl.hpp"
#include "kernels/grouped_matmul_impl.hpp"
#include "kernels/random_impl.hpp"
#include "kernels/reduce_impl.hpp"
#include "kernels/rms_norm_impl.hpp"
#include "kernels/router_impl.hpp"
#include "kernels/token_drop_impl.hpp"
#include "kernels/token_permutation_impl.hpp"

namespace fulgur::cuda {
namespace {

[[noreturn]] void refuse(const std::string& operation) {
  throw std::runtime_error(operation + ": built without CUDA (FULGUR_WITH_CUDA=OFF)");
}

}  // namespace

void silu_forward(const SiluForward&, Stream&) {
  refuse("silu_forward");
}
void silu_backward(const SiluBackward&, Stream&) {
  refuse("silu_backward");
}
void swiglu_forward(const SwigluForward&, Stream&) {
  refuse("swiglu_forward");
}
void swiglu_backward(const SwigluBackward&, Stream&) {
  refuse("swiglu_backward");
}
void sigmoid_gate_forward(const SigmoidGateForward&, Stream&) {
  refuse("sigmoid_gate_forward");
}
void sigmoid_gate_backward(const SigmoidGateBackward&, Stream&) {
  refuse("sigmoid_gate_backward");
}
void scaled_add(const ScaledAdd&, Stream&) {
  refuse("scaled_add");
}

void adamw(const AdamW&, Stream&) {
  refuse("adamw");
}

void cross_entropy_forward(const CrossEntropyForward&, Stream&) {
  refuse("cross_entropy_forward");
}
void cross_entropy_backward(const CrossEntropyBackward&, Stream&) {
  refuse("cross_entropy_backward");
}
void cross_entropy_loss(const CrossEntropyLoss&, Stream&) {
  refuse("cross_entropy_loss");
}
void combine_lse(const CombineLse&, Stream&) {
  refuse("combine_lse");
}

void embedding_forward(const EmbeddingForward&, Stream&) {
  refuse("embedding_forward");
}
void embedding_backward(const EmbeddingBackward&, Stream&) {
  refuse("embedding_backward");
}

void grouped_matmul(const GroupedMatMul&, Stream&) {
  refuse("grouped_matmul");
}
void grouped_matmul_input_gradient(const GroupedMatMulInputGradient&, Stream&) {
  refuse("grouped_matmul_input_gradient");
}
void grouped_matmul_weight_gradient(const GroupedMatMulWeightGradient&, Stream&) {
  refuse("grouped_matmul_weight_gradient");
}

void fill_normal(const NormalSequence&, Stream&) {
  refuse("fill_normal");
}

void sum_of_squares(const SumOfSquares&, Stream&) {
  refuse("sum_of_squares");
}
void clip_scale(const ClipScale&, Stream&) {
  refuse("clip_scale");
}

void rms_norm_forward(const RmsNormForward&, Stream&) {
  refuse("rms_norm_forward");
}
void rms_norm_backward(const RmsNormBackward&, Stream&) {
  refuse("rms_norm_backward");
}
void rms_norm_squares(const RmsNormSquares&, Stream&) {
  refuse("rms_norm_squares");
}
void rms_norm_dots(const RmsNormDots&, Stream&) {
  refuse("rms_norm_dots");
}

void router_forward(const RouterForward&, Stream&) {
  refuse("router_forward");
}
void router_backward(const RouterBackward&, Stream&) {
  refuse("router_backward");
}
void router_replay(const RouterReplay&, Stream&) {
  refuse("router_replay");
}

void key_runs(const KeyRuns&, Stream&) {
  refuse("key_runs");
}
void count_before(const CountBefore&, Stream&) {
  refuse("count_before");
}
void drop_ranked(const DropRanked&, Stream&) {
  refuse("drop_ranked");
}

void sort_by_expert(const SortByExpert&, Stream&) {
  refuse("sort_by_expert");
}
void permute_forward(const PermuteForward&, Stream&) {
  refuse("permute_forward");
}
void permute_backward(const PermuteBackward&, Stream&) {
  refuse("permute_backward");
}
void combine_forward(const CombineForward&, Stream&) {
  refuse("combine_forward");
}
void combine_backward(const CombineBackward&, Stream&) {
  refuse("combine_backward");
}

void auxiliary_loss(const AuxiliaryLoss&, Stream&) {
  refuse("auxiliary_loss");
}

}  // namespace fulgur::cuda
