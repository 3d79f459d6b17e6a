#include <fmt/format.h>

#include <numeric>

#include "recipes/rules/rule.hpp"

namespace fulgur {
namespace {

using std::int64_t;

std::string_view name_of(PipelineSchedule schedule) {
  switch (schedule) {
    case PipelineSchedule::k1F1B:
      return "1f1b";
    case PipelineSchedule::kInterleaved:
      return "interleaved";
    case PipelineSchedule::kZeroBubble:
      return "zero_bubble";
  }
  return "";
}

int64_t pieces_of(const Job& job) {
  return int64_t{job.layout.pp} * job.pipeline.virtual_stages;
}

std::string pieces_text(const Job& job) {
  return fmt::format("pp {} x virtual_stages {} = {} pieces", job.layout.pp,
                     job.pipeline.virtual_stages, pieces_of(job));
}

std::optional<Finding> schedule_fits_virtual_stages(const Job& job) {
  const auto virtual_stages = job.pipeline.virtual_stages;
  const auto name = name_of(job.pipeline.schedule);
  const bool interleaved = job.pipeline.schedule == PipelineSchedule::kInterleaved;
  if (interleaved == (virtual_stages > 1)) return std::nullopt;
  if (interleaved) {
    return Finding{"E0271",
                   "schedule interleaved with virtual_stages 1: it goes round the stages once for "
                   "each of several pieces",
                   "virtual_stages: 2 or more; schedule: 1f1b or zero_bubble"};
  }
  return Finding{"E0271",
                 fmt::format("schedule {} with virtual_stages {}: it has one piece on each stage",
                             name, virtual_stages),
                 "virtual_stages: 1; schedule: interleaved"};
}

std::optional<Finding> interleaved_has_stages(const Job& job) {
  if (job.pipeline.schedule != PipelineSchedule::kInterleaved || job.layout.pp > 1)
    return std::nullopt;
  return Finding{"E0272",
                 "schedule interleaved with pp 1: there is nothing to wait for on one stage",
                 "pp: 2 or more; schedule: 1f1b"};
}

std::optional<Finding> pieces_have_layers(const Job& job) {
  if (!job.pipeline.layers.empty() || pieces_of(job) <= job.model.layers) return std::nullopt;
  return Finding{
      "E0273",
      fmt::format("{} are more than layers {}: every piece needs at least one", pieces_text(job),
                  job.model.layers),
      fmt::format("pp x virtual_stages: at most {}; or say in pipeline.layers which pieces have 0",
                  job.model.layers)};
}

std::optional<Finding> every_piece_is_given(const Job& job) {
  const auto given = static_cast<int64_t>(job.pipeline.layers.size());
  if (given == 0 || given == pieces_of(job)) return std::nullopt;
  return Finding{
      "E0274", fmt::format("pipeline.layers has {} numbers for {}", given, pieces_text(job)),
      fmt::format("give {} numbers, or none to balance the pieces by cost", pieces_of(job))};
}

std::optional<Finding> all_layers_are_given(const Job& job) {
  const auto& given = job.pipeline.layers;
  const auto sum = std::accumulate(given.begin(), given.end(), int64_t{0});
  if (given.empty() || sum == job.model.layers) return std::nullopt;
  return Finding{
      "E0275",
      fmt::format("the numbers of pipeline.layers sum to {}, but the model has {} layers", sum,
                  job.model.layers),
      sum < job.model.layers ? fmt::format("{} more", job.model.layers - sum)
                             : fmt::format("{} fewer", sum - job.model.layers)};
}

// Over the tokens of all layers together, so over all stages: each micro-batch would have to wait at the
// end of the pipeline for the routers of all stages before any of them can go backward.
std::optional<Finding> aux_loss_stays_on_a_stage(const Job& job) {
  if (job.model.aux_loss != AuxLoss::kMixtral || job.layout.pp == 1) return std::nullopt;
  return Finding{"E0276",
                 fmt::format("aux_loss mixtral with pp {}: it is one product over the routers of "
                             "all layers, which would be on several stages",
                             job.layout.pp),
                 "aux_loss: gshard; or pp: 1"};
}

std::optional<Finding> schedule_can_be_listed(const Job& job) {
  constexpr int64_t kMost = 1 << 24;
  const auto micro_batches = job.train.batch / job.train.micro_batch;
  const auto virtual_stages = job.pipeline.virtual_stages;
  if (virtual_stages == 1 || micro_batches <= kMost / virtual_stages) return std::nullopt;
  return Finding{
      "E0277",
      fmt::format("{} micro-batches in a step x virtual_stages {} = {} passes of a stage "
                  "are too many to be listed",
                  micro_batches, virtual_stages, micro_batches * virtual_stages),
      fmt::format("at most {}", kMost)};
}

}  // namespace

std::span<const Rule> pipeline_rules() {
  static const std::vector<Rule> kRules = {
      {{"pipeline.schedule", "pipeline.virtual_stages"}, schedule_fits_virtual_stages},
      {{"pipeline.schedule", "layout.pp"}, interleaved_has_stages},
      {{"layout.pp", "pipeline.virtual_stages", "model.layers", "pipeline.layers"},
       pieces_have_layers},
      {{"pipeline.layers", "layout.pp", "pipeline.virtual_stages"}, every_piece_is_given},
      {{"pipeline.layers", "model.layers"}, all_layers_are_given},
      {{"model.aux_loss", "layout.pp"}, aux_loss_stays_on_a_stage},
      {{"pipeline.virtual_stages", "train.batch", "train.micro_batch"}, schedule_can_be_listed},
  };
  return kRules;
}

}  // namespace fulgur
