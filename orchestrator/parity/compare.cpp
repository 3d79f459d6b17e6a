#include "orchestrator/parity/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>

#include "recipes/near_tie.hpp"
#include "runtime/checkpoint/reader.hpp"

namespace fulgur {
namespace {

constexpr std::string_view kForward = "forward/";

double relative(double difference, double reference) {
  if (difference == 0) return 0;
  return reference == 0 ? std::numeric_limits<double>::infinity() : difference / reference;
}

double relative_error(double value, double reference) {
  return relative(std::abs(value - reference), std::abs(reference));
}

// A NaN is beyond every bound.
bool is_beyond(const ComparedQuantity& quantity) {
  return !(quantity.error <= quantity.allowed);
}

bool is_worse(const ComparedQuantity& a, const ComparedQuantity& b) {
  if (!std::isfinite(b.error)) return false;
  if (!std::isfinite(a.error) || b.allowed == 0) return !(a.error <= b.error);
  return a.error / a.allowed > b.error / b.allowed;
}

// Of "layers.<l>." in a name; 0 where there is none.
std::int64_t layer_of(const std::string& tensor) {
  const std::string_view layers = "layers.";
  const auto at = tensor.find(layers);
  return at == std::string::npos ? 0 : std::stoll(tensor.substr(at + layers.size()));
}

// The relative norm of the difference of a tensor in both checkpoints.
double tensor_error(CheckpointReader& reference, CheckpointReader& run,
                    const TensorRecord& tensor) {
  if (run.shape(tensor.name) != tensor.shape) {
    throw CheckpointError(CheckpointError::Kind::kInvalid,
                          tensor.name + ": its shape is not that of the reference");
  }
  constexpr std::int64_t kPart = 1 << 20;  // elements held at once
  double difference = 0, norm = 0;
  std::vector<float> a, b;
  const auto count = element_count(tensor);
  for (std::int64_t begin = 0; begin < count; begin += kPart) {
    a.resize(static_cast<std::size_t>(std::min(kPart, count - begin)));
    b.resize(a.size());
    reference.read(tensor.name, begin, a);
    run.read(tensor.name, begin, b);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double expected = a[i], d = double{b[i]} - expected;
      difference += d * d;
      norm += expected * expected;
    }
  }
  return relative(std::sqrt(difference), std::sqrt(norm));
}

// Rows of probabilities whose k-th and next largest are near.
std::int64_t near_ties(CheckpointReader& reader, const TensorRecord& tensor, std::int64_t k) {
  const auto experts = tensor.shape.back();
  if (k >= experts) return 0;
  const auto part = experts * 4096;  // elements held at once
  std::vector<float> rows;
  std::int64_t ties = 0;
  const auto count = element_count(tensor);
  for (std::int64_t begin = 0; begin < count; begin += part) {
    rows.resize(static_cast<std::size_t>(std::min(part, count - begin)));
    reader.read(tensor.name, begin, rows);
    for (auto row = rows.begin(); row != rows.end(); row += experts) {
      std::partial_sort(row, row + k + 1, row + experts, std::greater<>());
      const double last = row[k - 1], next = row[k];
      if (last - next <= kNearTie * last) ++ties;
    }
  }
  return ties;
}

class Comparer {
 public:
  explicit Comparer(std::int64_t experts_per_token) : k_(experts_per_token) {}

  void step(const RecordedRun& reference, const RecordedRun& run, std::size_t index) {
    const auto &expected = reference.steps[index], &got = run.steps[index];
    CheckpointReader a(checkpoint_folder(reference.checkpoints, expected.step));
    CheckpointReader b(checkpoint_folder(run.checkpoints, got.step));
    step_ = expected.step;
    expected_ = &expected, got_ = &got;
    result_.replayed += got.replayed;
    tensors(a, b, true);
    add({"drop rate", std::abs(got.drop_rate - expected.drop_rate), 0, step_, {}});
    add({"loss", relative_error(got.loss, expected.loss), kLossError, step_, {}});
    add({"auxiliary loss", relative_error(got.aux_loss, expected.aux_loss), kLossError, step_, {}});
    tensors(a, b, false);
    add({"gradient norm",
         relative_error(got.gradient_norm, expected.gradient_norm),
         kGradientError,
         step_,
         {}});
  }

  Comparison result() && { return std::move(result_); }

 private:
  void tensors(CheckpointReader& a, CheckpointReader& b, bool forward) {
    for (const auto& tensor : a.manifest().tensors) {
      if (tensor.name.starts_with(kForward) != forward) continue;
      const double depth =
          forward ? std::sqrt(1.0 + static_cast<double>(layer_of(tensor.name))) : 1;
      add({forward ? kForwardPass : kGradients, tensor_error(a, b, tensor),
           forward ? kForwardError * depth : kGradientError, step_, tensor.name});
      if (tensor.name.find(".router.micro_batch.") == std::string::npos) continue;
      result_.near_ties += near_ties(a, tensor, k_);
      if (tensor.name.ends_with(".micro_batch.0")) {
        add({"router counts", moved(layer_of(tensor.name), tensor.shape.back()), 0, step_,
             tensor.name.substr(0, tensor.name.find(".micro_batch."))});
      }
    }
  }

  // Assignments of a layer that went to another expert, over the whole step.
  double moved(std::int64_t layer, std::int64_t experts) const {
    const auto &expected = expected_->expert_counts, &got = got_->expert_counts;
    const auto begin = static_cast<std::size_t>(layer * experts);
    const auto end = begin + static_cast<std::size_t>(experts);
    if (end > expected.size() || end > got.size()) return std::numeric_limits<double>::infinity();
    double total = 0;
    for (auto i = begin; i < end; ++i)
      total += static_cast<double>(std::abs(expected[i] - got[i])) / 2;
    return total;
  }

  void add(ComparedQuantity quantity) {
    if (is_beyond(quantity) && !result_.first) result_.first = quantity;
    auto& all = result_.quantities;
    const auto same = std::find_if(all.begin(), all.end(), [&](const ComparedQuantity& each) {
      return each.name == quantity.name;
    });
    if (same == all.end()) {
      all.push_back(std::move(quantity));
    } else if (is_worse(quantity, *same)) {
      *same = std::move(quantity);
    }
  }

  std::int64_t k_;
  std::int64_t step_ = 0;
  const StepDone *expected_ = nullptr, *got_ = nullptr;  // of the step
  Comparison result_;
};

}  // namespace

Comparison compare_runs(const RecordedRun& reference, const RecordedRun& run,
                        std::int64_t experts_per_token) {
  if (reference.steps.size() != run.steps.size())
    throw std::invalid_argument(
        fmt::format("compare_runs: {} steps against {}", run.steps.size(), reference.steps.size()));
  Comparer comparer(experts_per_token);
  for (std::size_t index = 0; index < reference.steps.size(); ++index)
    comparer.step(reference, run, index);
  return std::move(comparer).result();
}

std::string describe_tensor(const std::string& tensor) {
  const bool forward = tensor.starts_with(kForward);
  auto name = tensor.substr(tensor.find('/') + 1);
  std::string micro_batch;
  if (const auto at = name.find(".micro_batch."); at != std::string::npos) {
    micro_batch = ", micro-batch " + name.substr(at + std::string_view(".micro_batch.").size());
    name.resize(at);
  }
  const std::string_view layers = "layers.";
  if (name.starts_with(layers)) {
    const auto dot = name.find('.', layers.size());
    name = fmt::format("layer {}, {}", name.substr(layers.size(), dot - layers.size()),
                       name.substr(dot + 1));
  }
  return fmt::format("{}{}{}", forward ? "forward pass: " : "gradient: ", name, micro_batch);
}

}  // namespace fulgur
