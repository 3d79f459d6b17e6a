#include "runtime/train/replica.hpp"

#include "kernels/transfer.hpp"
#include "recipes/pipeline_layers.hpp"

namespace fulgur {
namespace {

DType activation_dtype(const Job& job) {
  return job.train.precision == Precision::kBFloat16 ? DType::kBFloat16 : DType::kFloat32;
}

}  // namespace

Replica::Replica(const Job& job, Mesh& mesh)
    : mesh_(mesh),
      stream_(mesh.device()),
      pieces_(pieces_of_stage(layers_per_piece(job), job.layout.pp, mesh.dense().pp)),
      parameters_(job.model, job.optimizer.decay_on, mesh, pieces_, activation_dtype(job)),
      optimizer_(parameters_, job.optimizer, mesh),
      pipeline_(job, mesh, parameters_, pieces_, optimizer_),
      sums_memory_(mesh.device(), 3 * sizeof(double)),
      sums_(Tensor::contiguous(sums_memory_.data(), DType::kFloat64, {3})) {}

Replica::~Replica() {
  mesh_.stop(stream_);
}

void Replica::run_passes(const StepData& data) {
  fill_zero(sums_, stream_);
  optimizer_.begin_step(stream_);
  pipeline_.run(data, sums_.slice(0, 0, 1), sums_.slice(0, 1, 1), stream_);
}

Replica::Sums Replica::sums(double flag) {
  upload(std::vector<double>{flag}, sums_.slice(0, 2, 1), stream_);
  mesh_.world().all_reduce(sums_, sums_, ReduceOp::kSum, stream_, "loss and flags");
  mesh_.synchronize(stream_);
  const auto values = download<double>(sums_, stream_);
  return {.loss = values[0], .aux_loss = values[1], .flags = values[2]};
}

}  // namespace fulgur
