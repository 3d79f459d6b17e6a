#include "runtime/train/step_pipeline.hpp"

#include <utility>

#include "kernels/auxiliary_loss.hpp"
#include "kernels/transfer.hpp"

namespace fulgur {
namespace {

bool same_sizes(const TokenGrid& a, const TokenGrid& b) {
  return a.sequences == b.sequences && a.length == b.length;
}

constexpr const char* kEmbedding = "embedding";
constexpr const char* kFinalNorm = "final_norm";
constexpr const char* kRouter = "router";

// An output of a decoder layer: its name behind "layers.<l>.".
struct LayerOutput {
  const char* name;
  Tensor (*of)(const DecoderLayer::Saved& saved, const Tensor& out);
};
constexpr LayerOutput kLayerOutputs[] = {
    {"attention", [](const DecoderLayer::Saved& saved, const Tensor&) { return saved.y; }},
    {"norm2", [](const DecoderLayer::Saved& saved, const Tensor&) { return saved.g; }},
    {kRouter,
     [](const DecoderLayer::Saved& saved, const Tensor&) { return saved.moe.probabilities; }},
    {"experts", [](const DecoderLayer::Saved&, const Tensor& out) { return out; }}};

std::string operation_of(std::int64_t layer, const char* output) {
  return "layers." + std::to_string(layer) + "." + output;
}

AuxiliaryLossForm form_of(const ModelSpec& model) {
  return model.aux_loss == AuxLoss::kMixtral ? AuxiliaryLossForm::kMixtral
                                             : AuxiliaryLossForm::kGshard;
}

}  // namespace

std::vector<ActivationShape> activation_shapes(const ModelSpec& model) {
  std::vector<ActivationShape> shapes{{kEmbedding, model.hidden}};
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    for (const auto& output : kLayerOutputs) {
      const bool router = output.name == std::string_view(kRouter);
      shapes.push_back({operation_of(layer, output.name), router ? model.experts : model.hidden});
    }
  }
  shapes.push_back({kFinalNorm, model.hidden});
  return shapes;
}

std::string router_operation(std::int64_t layer) {
  return operation_of(layer, kRouter);
}

struct StepPipeline::Step {
  const StepData& data;
  TokenGrid grid;
  bool splits_backward;
  Tensor loss, aux_loss;
  Stream& compute;
  bool rehearsal = false;  // nothing comes from other stages, nothing goes out

  bool is_last(const Pass& pass) const { return pass.micro_batch + 1 == data.micro_batches; }
};

StepPipeline::StepPipeline(const Job& job, Mesh& mesh, const ParameterSet& parameters,
                           std::span<const ModelPiece> pieces, ShardedAdamW& optimizer)
    : job_(job),
      mesh_(mesh),
      parameters_(parameters),
      optimizer_(optimizer),
      dtype_(parameters.activations()),
      slots_(pieces.size()),
      routing_(job.model, mesh) {
  first_counter_.push_back(0);
  for (const auto& piece : pieces) {
    pieces_.push_back(make_piece(piece, job.model.rope_base));
    first_counter_.push_back(first_counter_.back() + pieces_.back().num_layers());
  }
}

Model StepPipeline::make_piece(const ModelPiece& piece, double rope_base) const {
  auto model = job_.model;
  model.rope_base = rope_base;
  return {model,
          piece,
          parameters_,
          {.mesh = mesh_,
           .lightning = job_.context.lightning,
           .token_groups = job_.experts.token_groups,
           .recompute = job_.memory.recompute,
           .graphs = uses_layer_graphs(job_, mesh_.device())}};
}

// A piece of the model is but views of its parameters: it is made anew.
void StepPipeline::use_rope_base(double base) {
  std::vector<Model> changed;
  for (const auto& piece : pieces_)
    changed.push_back(make_piece(piece.piece(), base));
  pieces_ = std::move(changed);
}

StepPipeline::Slot& StepPipeline::slot(std::size_t piece, int index) {
  auto& slots = slots_[piece];
  while (slots.size() <= static_cast<std::size_t>(index))
    slots.emplace_back(mesh_.device());
  return slots[static_cast<std::size_t>(index)];
}

bool StepPipeline::make_pipes(const TokenGrid& grid, Stream& compute) {
  if (grid_ && same_sizes(*grid_, grid)) return false;
  mesh_.synchronize(compute);  // the step before uses those that go
  grid_ = grid;
  const auto cuts = row_cuts(row_count(grid, mesh_.dense().cp), grid.tp);
  const auto tp = static_cast<std::size_t>(mesh_.dense().tp);
  const PipeTensor tensor{.dims = {cuts[tp + 1] - cuts[tp], job_.model.hidden},
                          .dtype = dtype_,
                          .device = mesh_.device()};
  const auto sender = [&](PipelineEdge& edge, const char* what) {
    return edge.ranks ? std::make_unique<PipeSender>(edge, tensor, what) : nullptr;
  };
  const auto receiver = [&](PipelineEdge& edge, const char* what) {
    return edge.ranks ? std::make_unique<PipeReceiver>(edge, tensor, what) : nullptr;
  };
  activations_out_ = sender(mesh_.activations_out(), "activations");
  gradients_out_ = sender(mesh_.gradients_out(), "gradients of activations");
  activations_in_ = receiver(mesh_.activations_in(), "activations");
  gradients_in_ = receiver(mesh_.gradients_in(), "gradients of activations");
  return true;
}

void StepPipeline::make_counters(std::int64_t micro_batches, Stream& compute) {
  if (counters_.micro_batches == micro_batches) return;
  mesh_.synchronize(compute);  // the step before uses those that go
  counters_ = {.micro_batches = micro_batches};
  const auto layers = first_counter_.back(), E = job_.model.experts;
  const auto allocate = [&](const Shape& dims, DType dtype) {
    const auto& memory = counters_.memory.emplace_back(
        mesh_.device(), static_cast<std::size_t>(dims.count()) * size_bytes(dtype));
    return Tensor::contiguous(memory.data(), dtype, dims);
  };
  counters_.all = {.counts = allocate({micro_batches, layers, E}, DType::kInt32),
                   .probability_sums = allocate({micro_batches, layers, E}, DType::kFloat64),
                   .dropped = allocate({micro_batches, layers}, DType::kInt32),
                   .dropped_local = allocate({micro_batches, layers}, DType::kInt32),
                   .replayed = allocate({micro_batches, layers}, DType::kInt32)};
}

RoutingStatistics StepPipeline::counters_of(std::int64_t micro_batch, std::size_t piece) const {
  const auto part = [&](const Tensor& all) {
    return all.select(0, micro_batch)
        .slice(0, first_counter_[piece], first_counter_[piece + 1] - first_counter_[piece]);
  };
  const auto& all = counters_.all;
  return {.counts = part(all.counts),
          .probability_sums = part(all.probability_sums),
          .dropped = part(all.dropped),
          .dropped_local = part(all.dropped_local),
          .replayed = part(all.replayed)};
}

void StepPipeline::make_plan(std::int64_t micro_batches) {
  if (plan_.micro_batches == micro_batches) return;
  const PipelineShape shape{.schedule = job_.pipeline.schedule,
                            .stages = mesh_.layout().pp,
                            .virtual_stages = static_cast<int>(pieces_.size()),
                            .micro_batches = static_cast<int>(micro_batches)};
  const int stage = mesh_.dense().pp;
  auto passes = pipeline_schedule(shape, stage);
  const auto num_messages = [&](PipeEnd end) {
    return static_cast<std::int64_t>(pipe_messages(shape, stage, passes, end).size());
  };
  const auto activations_in = num_messages(PipeEnd::kActivationsIn);
  const auto gradients_in = num_messages(PipeEnd::kGradientsIn);
  auto slots = plan_slots(passes, shape.virtual_stages);
  plan_ = {.micro_batches = micro_batches,
           .passes = std::move(passes),
           .slots = std::move(slots),
           .activations_in = activations_in,
           .gradients_in = gradients_in};
}

void StepPipeline::run(const StepData& data, const Tensor& loss, const Tensor& aux_loss,
                       Stream& compute) {
  const Step step{
      .data = data,
      .grid = token_grid(mesh_.layout(), job_.context.order, data.sequences, data.length),
      .splits_backward = job_.pipeline.schedule == PipelineSchedule::kZeroBubble,
      .loss = loss,
      .aux_loss = aux_loss,
      .compute = compute};
  make_counters(data.micro_batches, compute);
  make_plan(data.micro_batches);
  if (make_pipes(step.grid, compute) && mesh_.layout().pp > 1 && mesh_.device() == Device::kCuda)
    rehearse(step);
  for (const auto& counter :
       {counters_.all.counts, counters_.all.probability_sums, counters_.all.dropped,
        counters_.all.dropped_local, counters_.all.replayed})
    fill_zero(counter, compute);
  counters_.has_reference = static_cast<bool>(data.reference);
  if (activations_in_) activations_in_->expect(plan_.activations_in);
  if (gradients_in_) gradients_in_->expect(plan_.gradients_in);

  for (std::size_t i = 0; i < plan_.passes.size(); ++i) {
    const auto& pass = plan_.passes[i];
    auto& in_flight = slot(static_cast<std::size_t>(pass.virtual_stage), plan_.slots.slot[i]);
    switch (pass.kind) {
      case PassKind::kForward:
        forward(step, pass, in_flight);
        break;
      case PassKind::kBackward:
      case PassKind::kBackwardInput:
        backward(step, pass, in_flight);
        break;
      case PassKind::kBackwardWeight:
        finish_weights(step, pass, in_flight);
        break;
    }
  }
  // The auxiliary loss is the same on all ranks of a stage: one of them tells it.
  if (mesh_.stage_rank() != 0) fill_zero(aux_loss, compute);
}

// A GPU may hold up the launch of a kernel that it has not seen before until all that it runs has ended:
// the code is loaded first. With a receive among that, which waits for another stage, two stages could
// wait for each other for ever. So every kernel of the passes runs once before the first receive.
void StepPipeline::rehearse(const Step& real) {
  const Buffer memory(mesh_.device(), 2 * sizeof(double));
  const auto losses = Tensor::contiguous(memory.data(), DType::kFloat64, {2});
  StepData data = real.data;
  data.observe = {};
  data.after_backward = {};
  const Step step{.data = data,
                  .grid = real.grid,
                  .splits_backward = real.splits_backward,
                  .loss = losses.slice(0, 0, 1),
                  .aux_loss = losses.slice(0, 1, 1),
                  .compute = real.compute,
                  .rehearsal = true};
  for (std::size_t piece = 0; piece < pieces_.size(); ++piece) {
    auto& used = slot(piece, 0);
    Pass pass{.kind = PassKind::kForward, .micro_batch = 0};
    pass.virtual_stage = static_cast<int>(piece);
    forward(step, pass, used);
    backward(step, pass, used);
    if (step.splits_backward) finish_weights(step, pass, used);
  }
  optimizer_.begin_step(step.compute);  // as if nothing had been
  mesh_.synchronize(step.compute);
}

void StepPipeline::forward(const Step& step, const Pass& pass, Slot& slot) {
  const auto& piece = pieces_[static_cast<std::size_t>(pass.virtual_stage)];
  slot.scope.emplace(slot.arena);
  slot.operand_scope.emplace(slot.operand_arena);
  slot.weights = step.splits_backward ? WeightGradients(slot.operand_arena) : WeightGradients();
  const Context ctx{step.compute, slot.arena};
  load_batch(step, pass, slot);
  Tensor x;
  if (!piece.piece().has_embedding) {
    x = slot.arena.allocate({slot.batch.rows, job_.model.hidden}, dtype_);
    receive(step, activations_in_, x);
  }
  piece.forward(ctx, slot.batch, x,
                counters_of(pass.micro_batch, static_cast<std::size_t>(pass.virtual_stage)),
                slot.saved, forward_hooks(step, pass, slot.batch));
  if (step.data.observe && piece.piece().has_head)
    step.data.observe({pass.micro_batch, kFinalNorm, slot.batch, slot.saved.hidden});
  auxiliary_gradient(step, pass, slot);
  if (!piece.piece().has_head) send(step, activations_out_, slot.saved.out);
}

void StepPipeline::load_batch(const Step& step, const Pass& pass, Slot& slot) {
  const Context ctx{step.compute, slot.arena};
  slot.batch = make_batch(ctx, mesh_, step.grid, step.data.samples(pass.micro_batch));
  if (!step.data.reference) return;
  const auto& piece = pieces_[static_cast<std::size_t>(pass.virtual_stage)].piece();
  for (auto layer = piece.first; layer < piece.last; ++layer) {
    slot.batch.reference[layer] = step.data.reference(ctx, slot.batch, pass.micro_batch, layer);
  }
}

void StepPipeline::receive(const Step& step, const std::unique_ptr<PipeReceiver>& from,
                           const Tensor& x) {
  step.rehearsal ? fill_zero(x, step.compute) : from->receive(x, step.compute);
}

void StepPipeline::send(const Step& step, const std::unique_ptr<PipeSender>& to, const Tensor& x) {
  if (!step.rehearsal) to->send(x, step.compute);
}

ForwardHooks StepPipeline::forward_hooks(const Step& step, const Pass& pass, const Batch& batch) {
  ForwardHooks hooks;
  hooks.before = [this, &step](std::int64_t place) {
    optimizer_.wait_for_weights(place, step.compute);
  };
  if (!step.data.observe) return hooks;
  const auto m = pass.micro_batch;
  hooks.after_layer = [&step, &batch, m](std::int64_t layer, const DecoderLayer::Saved& saved,
                                         const Tensor& out) {
    // The first layer's input; that of the others is the output of the one before.
    if (layer == 0) step.data.observe({m, kEmbedding, batch, saved.x});
    for (const auto& output : kLayerOutputs)
      step.data.observe({m, operation_of(layer, output.name), batch, output.of(saved, out)});
  };
  return hooks;
}

// The gradient of the auxiliary loss with respect to the router's probabilities. Counts are summed over
// all ranks of the stage first, so that the loss does not depend on how they share the micro-batch.
void StepPipeline::auxiliary_gradient(const Step& step, const Pass& pass, Slot& slot) {
  const auto& piece = pieces_[static_cast<std::size_t>(pass.virtual_stage)];
  const auto& model = job_.model;
  const auto counters = counters_of(pass.micro_batch, static_cast<std::size_t>(pass.virtual_stage));
  slot.dprobability = slot.arena.allocate({piece.num_layers(), model.experts});
  if (piece.num_layers() == 0) return;
  auto& ranks = mesh_.stage();
  ranks.all_reduce(counters.counts, counters.counts, ReduceOp::kSum, step.compute, "expert counts");
  ranks.all_reduce(counters.probability_sums, counters.probability_sums, ReduceOp::kSum,
                   step.compute, "router probabilities");
  // The kernel takes the mean over the layers that it sees; the loss is the mean over all.
  const double share = static_cast<double>(piece.num_layers()) / static_cast<double>(model.layers);
  auxiliary_loss(
      {.counts = counters.counts,
       .probability_sums = counters.probability_sums,
       .loss = step.aux_loss,
       .dprobability = slot.dprobability,
       .form = form_of(model),
       .coef = model.aux_loss_coef * share / static_cast<double>(step.data.micro_batches),
       .tokens = step.grid.sequences * step.grid.length,
       .experts_per_token = model.experts_per_token},
      step.compute);
}

void StepPipeline::backward(const Step& step, const Pass& pass, Slot& slot) {
  const auto& piece = pieces_[static_cast<std::size_t>(pass.virtual_stage)];
  const Context ctx{step.compute, slot.arena};
  const auto gradient = slot.arena.allocate({slot.batch.rows, job_.model.hidden}, dtype_);
  if (piece.piece().has_head) {
    piece.loss(ctx, slot.batch, slot.saved.hidden,
               1.0f / static_cast<float>(step.data.labelled_tokens), step.loss, gradient);
  } else {
    receive(step, gradients_in_, gradient);
  }
  PlaceHook after;
  if (step.is_last(pass) && !step.splits_backward && !step.rehearsal)
    after = [&](std::int64_t place) { optimizer_.gradients_ready(place, step.compute); };
  piece.backward(ctx, slot.batch, {gradient, slot.dprobability, gradient}, slot.saved, slot.weights,
                 after);
  if (!piece.piece().has_embedding) send(step, gradients_out_, gradient);
  if (step.splits_backward) return;
  slot.operand_scope.reset();
  slot.scope.reset();
  if (step.data.after_backward) step.data.after_backward(pass.micro_batch);
}

void StepPipeline::finish_weights(const Step& step, const Pass& pass, Slot& slot) {
  slot.weights.run(step.compute);
  slot.operand_scope.reset();
  slot.scope.reset();
  if (step.data.after_backward) step.data.after_backward(pass.micro_batch);
  if (!step.is_last(pass) || step.rehearsal) return;
  const auto& piece = pieces_[static_cast<std::size_t>(pass.virtual_stage)].piece();
  const auto ready = [&](std::int64_t place) { optimizer_.gradients_ready(place, step.compute); };
  if (piece.has_head) ready(kHeadPlace);
  for (auto layer = piece.last; layer-- > piece.first;)
    ready(layer);
  if (piece.has_embedding) ready(kEmbeddingPlace);
}

void StepPipeline::queue_routing(Stream& compute) {
  std::vector<std::int64_t> layers;
  for (const auto& piece : pieces_) {
    for (auto layer = piece.piece().first; layer < piece.piece().last; ++layer)
      layers.push_back(layer);
  }
  routing_.queue(
      {.counters = counters_.all, .layers = layers, .has_reference = counters_.has_reference},
      compute);
}

std::int64_t StepPipeline::graph_launches() const {
  std::int64_t launches = 0;
  for (const auto& piece : pieces_)
    launches += piece.graph_launches();
  return launches;
}

std::size_t StepPipeline::activation_bytes() const {
  std::size_t bytes = 0;
  for (const auto& slots : slots_) {
    for (const auto& slot : slots)
      bytes += slot.arena.high_water_bytes() + slot.operand_arena.high_water_bytes();
  }
  return bytes;
}

}  // namespace fulgur
