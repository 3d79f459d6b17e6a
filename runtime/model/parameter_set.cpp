#include "runtime/model/parameter_set.hpp"

#include <stdexcept>

namespace fulgur {

ParameterSet::ParameterSet(const ModelSpec& model, WeightDecayOn decay_on, Device device,
                           int share_count) {
  flats_.resize(2);
  for (auto& parameter : fulgur::parameters(model, decay_on)) {
    const std::size_t flat = parameter.kind == ParameterKind::kDense ? 0 : 1;
    auto& to = flats_[flat];
    places_.emplace(parameter.name, Place{flat, to.parameters.size()});
    const auto count = parameter.count();
    to.parameters.push_back({std::move(parameter), to.count});
    to.count += count;
  }
  for (auto& flat : flats_) {
    flat.count = (flat.count + share_count - 1) / share_count * share_count;
    const auto bytes = static_cast<std::size_t>(flat.count) * sizeof(float);
    for (auto* tensor : {&flat.weight, &flat.gradient}) {
      buffers_.emplace_back(device, bytes);
      *tensor = Tensor::contiguous(buffers_.back().data(), DType::kFloat32, {flat.count});
    }
  }
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
    throw std::invalid_argument("no parameter is named " + std::string(name));
  return place->second;
}

Tensor ParameterSet::view(const Tensor& flat, const LocalParameter& local) const {
  return flat.slice(0, local.offset, local.parameter.count()).view(Shape(local.parameter.shape));
}

Tensor ParameterSet::fused(std::string_view first, std::string_view last,
                           Tensor FlatParameters::*which) const {
  const auto from = find(first), to = find(last);
  const auto& flat = flats_[from.flat];
  const auto& head = flat.parameters[from.index];
  const auto& tail = flat.parameters[to.index];
  const auto columns = head.parameter.shape.back();
  const auto count = tail.offset + tail.parameter.count() - head.offset;
  return (flat.*which).slice(0, head.offset, count).view({count / columns, columns});
}

}  // namespace fulgur
