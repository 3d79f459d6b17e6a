#include "recipes/fields/declared.hpp"

namespace fulgur::declared {
namespace {

template <int Layout::*Axis>
Field axis_field(std::string_view name, std::string_view help) {
  return {.name = name,
          .access = kMember<&Job::layout, Axis>,
          .range = kAxis,
          .category = Category::kLayout,
          .help = help};
}

}  // namespace

std::vector<Field> layout_fields() {
  return {
      axis_field<&Layout::pp>("layout.pp", "Pipeline stages: the layers are cut."),
      axis_field<&Layout::dp>("layout.dp", "Data-parallel ranks: the micro-batch is cut."),
      axis_field<&Layout::cp>("layout.cp", "Context-parallel ranks: sequences are cut."),
      axis_field<&Layout::tp>("layout.tp", "Tensor-parallel ranks: heads and vocabulary are cut."),
      axis_field<&Layout::ep>("layout.ep", "Expert-parallel ranks: each has its own experts."),
      axis_field<&Layout::etp>("layout.etp",
                               "Tensor-parallel ranks of an expert: its inner width is cut."),
  };
}

std::vector<Field> parallel_fields() {
  constexpr auto kLayout = Category::kLayout;
  return {
      {.name = "context.order",
       .access = kMember<&Job::context, &ContextSpec::order>,
       .category = kLayout,
       .help =
           "How cp cuts a sequence: zigzag gives a rank one piece from each end, which balances "
           "causal softmax attention; contiguous gives it one piece."},
      {.name = "context.lightning",
       .access = kMember<&Job::context, &ContextSpec::lightning>,
       .category = kLayout,
       .help =
           "How lightning attention crosses cp ranks: lasp_plus gathers all states at once; lasp "
           "passes them along a ring and is there for comparison."},
      {.name = "experts.token_groups",
       .access = kMember<&Job::experts, &ExchangeSpec::token_groups>,
       .range = {.min = 0, .max = 256},
       .category = kLayout,
       .help = "Tokens travel to their experts in so many groups: one travels while another is "
               "computed. auto (0): as many as the planner predicts to be best.",
       .zero_word = "auto"},
      {.name = "pipeline.schedule",
       .access = kMember<&Job::pipeline, &PipelineSpec::schedule>,
       .category = kLayout,
       .help = "The order of passes on a stage: 1f1b; interleaved, for virtual stages; zero_bubble "
               "fills waits with weight gradients."},
      {.name = "pipeline.virtual_stages",
       .access = kMember<&Job::pipeline, &PipelineSpec::virtual_stages>,
       .range = from_one_to(256),
       .category = kLayout,
       .help = "Pieces of the model on each pipeline stage."},
      {.name = "pipeline.layers",
       .access = kMember<&Job::pipeline, &PipelineSpec::layers>,
       .range = {.min = 0, .max = 1 << 20},
       .category = kLayout,
       .help =
           "Layers in each of the pp x virtual_stages pieces, in the order of the model; empty: "
           "pieces of about equal cost."},
      {.name = "memory.recompute",
       .access = kMember<&Job::memory, &MemorySpec::recompute>,
       .category = kLayout,
       .help =
           "What the backward pass calculates again instead of keeping it: none; selective, inner "
           "activations of attention and experts; full, everything but each layer's input."},
  };
}

}  // namespace fulgur::declared
