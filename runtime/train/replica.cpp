#include "runtime/train/replica.hpp"

#include <cmath>

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
      sums_memory_(mesh.device(), 4 * sizeof(double)),
      sums_(Tensor::contiguous(sums_memory_.data(), DType::kFloat64, {4})),
      readback_(mesh.device()) {}

Replica::~Replica() {
  mesh_.stop(stream_);
}

void Replica::run_passes(const StepData& data) {
  fill_zero(sums_, stream_);
  optimizer_.begin_step(stream_);
  pipeline_.run(data, sums_.slice(0, 0, 1), sums_.slice(0, 1, 1), stream_);
}

// All that the ranks must agree on goes through one exchange, and the update stands behind it.
Replica::Sums Replica::finish_step(const Update& update) {
  const auto squares = sums_.slice(0, 3, 1);
  optimizer_.add_squares(squares, stream_);
  upload(std::vector<double>{update.flag}, sums_.slice(0, 2, 1), stream_);
  mesh_.world().all_reduce(sums_, sums_, ReduceOp::kSum, stream_, "loss, flags and gradient norm");
  readback_.queue(sums_, stream_);
  pipeline_.queue_routing(stream_);
  const auto known = stream_.record();
  optimizer_.step(update.step, update.learning_rate, squares, stream_);
  mesh_.wait_for(known, stream_);
  const auto values = readback_.values<double>();
  return {.loss = values[0],
          .aux_loss = values[1],
          .flags = values[2],
          .gradient_norm = std::sqrt(values[3]),
          .routing = pipeline_.routing()};
}

}  // namespace fulgur
