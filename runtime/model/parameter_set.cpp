#include "runtime/model/parameter_set.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>

namespace fulgur {

std::int64_t LocalParameter::count() const {
  return std::accumulate(part.count.begin(), part.count.end(), std::int64_t{1},
                         std::multiplies<>());
}

ParameterSet::ParameterSet(const ModelSpec& model, WeightDecayOn decay_on, Mesh& mesh,
                           std::span<const ModelPiece> pieces, DType activations)
    : activations_(activations) {
  for (auto& parameter : fulgur::parameters(model, decay_on)) {
    if (std::none_of(pieces.begin(), pieces.end(),
                     [&](const ModelPiece& piece) { return piece.holds(parameter); }))
      continue;
    auto& flat = flat_for(parameter, mesh);
    places_.emplace(parameter.name,
                    Place{static_cast<std::size_t>(&flat - flats_.data()), flat.parameters.size()});
    auto part = part_of(parameter, mesh.layout(), mesh.rank());
    flat.parameters.push_back({std::move(parameter), std::move(part), flat.count});
    flat.count += flat.parameters.back().count();
  }
  for (auto& flat : flats_) {
    const auto shares = flat.replicas->size();
    flat.count = (flat.count + shares - 1) / shares * shares;
    for (auto* tensor : {&flat.weight, &flat.gradient}) {
      *tensor = Tensor::contiguous(nullptr, tensor->dtype, {flat.count});
      tensor->data = buffers_.emplace_back(mesh.device(), tensor->bytes()).data();
    }
  }
}

FlatParameters& ParameterSet::flat_for(const Parameter& parameter, Mesh& mesh) {
  const bool expert = parameter.kind == ParameterKind::kExpert;
  const auto dtype = weight_dtype(parameter);
  const int copies = expert ? 1 : tp_copies(parameter, mesh.layout().tp);
  const auto found = std::find_if(flats_.begin(), flats_.end(), [&](const FlatParameters& flat) {
    return flat.kind == parameter.kind && flat.copies == copies && flat.weight.dtype == dtype;
  });
  if (found != flats_.end()) return *found;
  return flats_.emplace_back(FlatParameters{.kind = parameter.kind,
                                            .copies = copies,
                                            .replicas = &mesh.replicas(parameter.kind, copies),
                                            .weight = {.dtype = dtype}});
}

DType ParameterSet::weight_dtype(const Parameter& parameter) const {
  return stays_exact(parameter) ? DType::kFloat32 : activations_;
}

Tensor ParameterSet::weight(std::string_view name) const {
  const auto place = find(name);
  const auto& flat = flats_[place.flat];
  return view(flat.weight, flat.parameters[place.index]);
}

Tensor ParameterSet::gradient(std::string_view name) const {
  const auto place = find(name);
  const auto& flat = flats_[place.flat];
  return view(flat.gradient, flat.parameters[place.index]);
}

Tensor ParameterSet::fused_weight(std::string_view first, std::string_view last) const {
  return fused(first, last, &FlatParameters::weight);
}

Tensor ParameterSet::fused_gradient(std::string_view first, std::string_view last) const {
  return fused(first, last, &FlatParameters::gradient);
}

ParameterSet::Place ParameterSet::find(std::string_view name) const {
  const auto place = places_.find(name);
  if (place == places_.end())
    throw std::invalid_argument("no parameter on this rank is named " + std::string(name));
  return place->second;
}

Tensor ParameterSet::view(const Tensor& flat, const LocalParameter& local) const {
  return flat.slice(0, local.offset, local.count()).view(Shape(local.part.count));
}

Tensor ParameterSet::fused(std::string_view first, std::string_view last,
                           Tensor FlatParameters::*which) const {
  const auto from = find(first), to = find(last);
  const auto& flat = flats_[from.flat];
  const auto& head = flat.parameters[from.index];
  const auto& tail = flat.parameters[to.index];
  const auto columns = head.part.count.back();
  const auto count = tail.offset + tail.count() - head.offset;
  return (flat.*which).slice(0, head.offset, count).view({count / columns, columns});
}

}  // namespace fulgur
