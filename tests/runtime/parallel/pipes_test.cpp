#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "recipes/pipeline/messages.hpp"
#include "recipes/pipeline/slots.hpp"
#include "runtime/parallel/pipe.hpp"
#include "tests/recipes/pipeline/pipeline_checker.hpp"
#include "tests/runtime/comm/ucx_group.hpp"
#include "tests/support/host_tensor.hpp"

namespace fulgur {
namespace {

constexpr std::int64_t kElements = 32768;  // 128 KiB: UCX does not buffer such a message
constexpr std::chrono::seconds kTimeout{20};

std::size_t index(int number) {
  return static_cast<std::size_t>(number);
}

// A model of which everything is known: piece q adds q+1 to what comes in, and to the gradient that goes
// back; the gradient of its weight is input times gradient. All elements of a tensor are equal, all
// numbers small and whole, so every sum is exact.
int sum_up_to(int last) {
  return last * (last + 1) / 2;
}
float input_of(int piece, int micro_batch) {
  return static_cast<float>(micro_batch + 1 + sum_up_to(piece));
}
float gradient_of(const PipelineShape& shape, int piece, int micro_batch) {
  return static_cast<float>(micro_batch + 2 + sum_up_to(shape.pieces()) - sum_up_to(piece + 1));
}

// The four edges of a stage, by PipeEnd.
using Edges = std::array<PipelineEdge, 4>;

std::vector<Edges> make_edges(const PipelineShape& shape, const test::MakeGroup& make) {
  std::vector<Edges> edges(index(shape.stages));
  const auto connect = [&](int from, PipeEnd out, int to, PipeEnd in) {
    auto group = make("edge", 2, kTimeout);
    edges[index(from)][static_cast<std::size_t>(out)].ranks = std::move(group[0]);
    edges[index(to)][static_cast<std::size_t>(in)].ranks = std::move(group[1]);
  };
  const int links = shape.virtual_stages > 1 ? shape.stages : shape.stages - 1;
  for (int stage = 0; stage < links; ++stage) {
    const int next = peer_stage(shape, stage, PipeEnd::kActivationsOut);
    connect(stage, PipeEnd::kActivationsOut, next, PipeEnd::kActivationsIn);
    connect(next, PipeEnd::kGradientsOut, stage, PipeEnd::kGradientsIn);
  }
  for (auto& stage : edges) {
    for (auto& edge : stage)
      edge.stream = std::make_unique<Stream>(Device::kCpu);
  }
  return edges;
}

// One stage at work.
class Worker {
 public:
  Worker(const PipelineShape& shape, int stage, Edges& edges, Stream& compute)
      : shape_(shape),
        stage_(stage),
        edges_(edges),
        compute_(compute),
        passes_(pipeline_schedule(shape, stage)),
        plan_(plan_slots(passes_, shape.virtual_stages)),
        activations_in_(edge(PipeEnd::kActivationsIn), {.dims = {kElements}}, "a"),
        activations_out_(edge(PipeEnd::kActivationsOut), {.dims = {kElements}}, "a"),
        gradients_in_(edge(PipeEnd::kGradientsIn), {.dims = {kElements}}, "g"),
        gradients_out_(edge(PipeEnd::kGradientsOut), {.dims = {kElements}}, "g") {
    for (const int slots : plan_.num_slots) {
      inputs_.emplace_back(index(slots), test::Floats({kElements}));
      gradients_.emplace_back(index(slots), test::Floats({kElements}));
      weights_.emplace_back(Shape{kElements});
    }
  }

  void run() {
    activations_in_.expect(count(PipeEnd::kActivationsIn));
    gradients_in_.expect(count(PipeEnd::kGradientsIn));
    for (std::size_t i = 0; i < passes_.size(); ++i) {
      const auto& pass = passes_[i];
      const auto piece = index(pass.virtual_stage), slot = index(plan_.slot[i]);
      auto& input = inputs_[piece][slot];
      auto& gradient = gradients_[piece][slot];
      if (pass.kind == PassKind::kForward) forward(pass, input);
      if (pass.kind == PassKind::kBackward || pass.kind == PassKind::kBackwardInput)
        backward(pass, gradient);
      if (pass.kind == PassKind::kBackward || pass.kind == PassKind::kBackwardWeight)
        add_weight_gradient(input, gradient, weights_[piece]);
    }
    compute_.synchronize();
    for (auto& each : edges_)
      each.stream->synchronize();
  }

  // Whether the gradients of the weights and the outputs are those of the model.
  bool is_right() const {
    bool right = wrong_outputs_ == 0;
    for (int v = 0; v < shape_.virtual_stages; ++v) {
      const int piece = piece_of(shape_, stage_, {PassKind::kForward, 0, v});
      float sum = 0;
      for (int m = 0; m < shape_.micro_batches; ++m)
        sum += input_of(piece, m) * gradient_of(shape_, piece, m);
      right = right && weights_[index(v)].values == std::vector<float>(kElements, sum);
    }
    return right;
  }

 private:
  PipelineEdge& edge(PipeEnd end) { return edges_[static_cast<std::size_t>(end)]; }
  std::int64_t count(PipeEnd end) const {
    return static_cast<std::int64_t>(pipe_messages(shape_, stage_, passes_, end).size());
  }

  void fill(test::Floats& tensor, float value) {
    compute_.run([&tensor, value] { tensor.values.assign(tensor.values.size(), value); });
  }

  // result_ = tensor + value
  void add(const test::Floats& tensor, float value) {
    compute_.run([this, &tensor, value] {
      for (std::size_t i = 0; i < result_.values.size(); ++i)
        result_.values[i] = tensor.values[i] + value;
    });
  }

  void forward(const Pass& pass, test::Floats& input) {
    const int piece = piece_of(shape_, stage_, pass);
    if (piece == 0)
      fill(input, input_of(0, pass.micro_batch));
    else
      activations_in_.receive(input, compute_);
    add(input, static_cast<float>(piece + 1));
    if (piece + 1 < shape_.pieces()) return activations_out_.send(result_, compute_);
    const float expected = input_of(piece + 1, pass.micro_batch);
    compute_.run([this, expected] {
      for (const float value : result_.values)
        wrong_outputs_ += value == expected ? 0 : 1;
    });
  }

  void backward(const Pass& pass, test::Floats& gradient) {
    const int piece = piece_of(shape_, stage_, pass);
    if (piece + 1 == shape_.pieces())
      fill(gradient, gradient_of(shape_, piece, pass.micro_batch));
    else
      gradients_in_.receive(gradient, compute_);
    add(gradient, static_cast<float>(piece + 1));
    if (piece > 0) gradients_out_.send(result_, compute_);
  }

  void add_weight_gradient(const test::Floats& input, const test::Floats& gradient,
                           test::Floats& sum) {
    compute_.run([&] {
      for (std::size_t i = 0; i < sum.values.size(); ++i)
        sum.values[i] += input.values[i] * gradient.values[i];
    });
  }

  PipelineShape shape_;
  int stage_;
  Edges& edges_;
  Stream& compute_;
  std::vector<Pass> passes_;
  SlotPlan plan_;
  PipeReceiver activations_in_;
  PipeSender activations_out_;
  PipeReceiver gradients_in_;
  PipeSender gradients_out_;
  std::vector<std::vector<test::Floats>> inputs_, gradients_;  // [virtual_stages][slots]
  std::vector<test::Floats> weights_;                          // [virtual_stages]
  test::Floats result_{{kElements}};
  int wrong_outputs_ = 0;
};

void check_over(const test::MakeGroup& make) {
  using enum PipelineSchedule;
  for (const auto& shape : std::vector<PipelineShape>{{k1F1B, 2, 1, 5},
                                                      {k1F1B, 4, 1, 3},
                                                      {kInterleaved, 2, 2, 4},
                                                      {kInterleaved, 2, 3, 5},
                                                      {kInterleaved, 3, 2, 7},
                                                      {kInterleaved, 4, 2, 2},
                                                      {kZeroBubble, 2, 1, 5},
                                                      {kZeroBubble, 4, 1, 6}}) {
    CAPTURE(test::to_string(shape));
    auto edges = make_edges(shape, make);
    std::vector<char> right(index(shape.stages), 0);
    test::run_ranks(shape.stages, [&](Communicator& self, Stream& compute) {
      Worker worker(shape, self.rank(), edges[index(self.rank())], compute);
      worker.run();
      right[index(self.rank())] = worker.is_right() ? 1 : 0;
    });
    CHECK(right == std::vector<char>(index(shape.stages), 1));
  }
}

TEST_SUITE("recipes/pipeline/pipes") {
  TEST_CASE("every schedule brings each tensor to its pass over communicators of threads") {
    check_over([](const std::string& name, int size, std::chrono::milliseconds timeout) {
      return make_local_group(name, size, timeout);
    });
  }

  TEST_CASE("every schedule brings each tensor to its pass over UCX") {
    check_over(test::make_ucx_group);
  }
}

}  // namespace
}  // namespace fulgur
