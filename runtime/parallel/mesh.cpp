#include "runtime/parallel/mesh.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>

#include "runtime/comm/solo.hpp"

namespace fulgur {

MakeGroup alone(Device device) {
  return [device](const std::string& name, int, int size) {
    if (size != 1) throw std::invalid_argument("a rank that is alone has no group " + name);
    return make_solo_communicator(name, device);
  };
}

// The ranks whose coordinates `same` accepts.
template <class Same>
Mesh::Ranks Mesh::ranks_with(Same same) const {
  Ranks ranks;
  for (int rank = 0; rank < world_size(layout_); ++rank) {
    if (same(dense_coordinate(Rank{rank}, layout_), expert_coordinate(Rank{rank}, layout_)))
      ranks.push_back(rank);
  }
  return ranks;
}

Mesh::Mesh(const Layout& layout, Rank rank, Device device, MakeGroup make_group,
           std::int64_t virtual_stages)
    : layout_(layout),
      rank_(rank),
      device_(device),
      dense_(dense_coordinate(rank, layout)),
      expert_(expert_coordinate(rank, layout)),
      make_group_(std::move(make_group)) {
  using Dense = DenseCoordinate;
  using Expert = ExpertCoordinate;
  tp_ = make("tp", ranks_with([&](const Dense& at, const Expert&) {
               return at.pp == dense_.pp && at.dp == dense_.dp && at.cp == dense_.cp;
             }));
  cp_ = make("cp", ranks_with([&](const Dense& at, const Expert&) {
               return at.pp == dense_.pp && at.dp == dense_.dp && at.tp == dense_.tp;
             }));
  ep_ = make("ep", ranks_with([&](const Dense&, const Expert& at) {
               return at.pp == expert_.pp && at.edp == expert_.edp && at.etp == expert_.etp;
             }));
  etp_ = make("etp", ranks_with([&](const Dense&, const Expert& at) {
                return at.pp == expert_.pp && at.edp == expert_.edp && at.ep == expert_.ep;
              }));
  replicas(ParameterKind::kDense, 1);
  stage_ = &shared("stage",
                   ranks_with([&](const Dense& at, const Expert&) { return at.pp == dense_.pp; }));
  world_ = &shared("world", ranks_with([](const Dense&, const Expert&) { return true; }));

  replica_stream_ = &add_stream();
  const auto own_or_shared = [&](int size) { return size > 1 ? &add_stream() : replica_stream_; };
  cp_stream_ = own_or_shared(layout.cp);
  ep_stream_ = own_or_shared(layout.ep);
  etp_stream_ = own_or_shared(layout.etp);

  // Every rank makes the edges that touch it in the order of the stage that they leave.
  const int edges = virtual_stages > 1 && layout.pp > 1 ? layout.pp : layout.pp - 1;
  for (int from = 0; from < edges; ++from) {
    const int to = (from + 1) % layout.pp;
    if (dense_.pp == from) activations_out_ = edge("activations", from, to);
    if (dense_.pp == to) activations_in_ = edge("activations", from, to);
    if (dense_.pp == to) gradients_out_ = edge("gradients", to, from);
    if (dense_.pp == from) gradients_in_ = edge("gradients", to, from);
  }
}

Mesh::~Mesh() = default;

int Mesh::stage_size() const noexcept {
  return layout_.dp * layout_.cp * layout_.tp;
}

Communicator& Mesh::replicas(ParameterKind kind, int copies) {
  if (kind == ParameterKind::kExpert) {
    return shared("edp", ranks_with([&](const DenseCoordinate&, const ExpertCoordinate& at) {
                    return at.pp == expert_.pp && at.ep == expert_.ep && at.etp == expert_.etp;
                  }));
  }
  const std::string name = layout_.cp == 1 ? "dp" : "dp.cp";
  return shared(copies == 1 ? name : name + ".tp" + std::to_string(copies),
                ranks_with([&](const DenseCoordinate& at, const ExpertCoordinate&) {
                  return at.pp == dense_.pp && at.tp / copies == dense_.tp / copies;
                }));
}

template <class Call>
void Mesh::for_each_stream(Call call) const {
  for (const auto& stream : streams_)
    call(*stream);
  for (const auto* edge : {&activations_in_, &activations_out_, &gradients_in_, &gradients_out_}) {
    if (edge->stream) call(*edge->stream);
  }
}

template <class Call>
void Mesh::for_each_group(Call call) const {
  for (const auto* group : {&tp_, &cp_, &ep_, &etp_})
    call(**group);
  for (const auto& [ranks, group] : shared_)
    call(*group);
  for (const auto* edge : {&activations_in_, &activations_out_, &gradients_in_, &gradients_out_}) {
    if (edge->ranks) call(*edge->ranks);
  }
}

void Mesh::synchronize(Stream& compute) const {
  std::exception_ptr first;
  const auto wait = [&](Stream& stream) {
    try {
      stream.synchronize();
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  };
  // A failed exchange is the cause of what the compute stream finds wrong later.
  for_each_stream(wait);
  wait(compute);
  if (first) std::rethrow_exception(first);
}

void Mesh::wait_for(const Event& event, Stream& compute) const {
  event.synchronize();
  bool failed = compute.failure()->is_set();
  for_each_stream([&](const Stream& stream) { failed |= stream.failure()->is_set(); });
  if (failed) synchronize(compute);
}

void Mesh::stop(Stream& compute) noexcept {
  std::vector<Event> ends{compute.record()};
  for_each_stream([&](Stream& stream) { ends.push_back(stream.record()); });
  if (!std::all_of(ends.begin(), ends.end(), [](const Event& end) { return end.has_passed(); }))
    for_each_group([](Communicator& group) { group.abort(); });
  for (const auto& end : ends)
    end.synchronize();
}

// A group is named after its axis and, where there are several, after its first rank.
std::unique_ptr<Communicator> Mesh::make(const std::string& name, const Ranks& ranks) const {
  const auto size = static_cast<int>(ranks.size());
  const auto mine = std::find(ranks.begin(), ranks.end(), rank_.value()) - ranks.begin();
  const bool only = size == world_size(layout_);
  return make_group_(only ? name : name + "." + std::to_string(ranks.front()),
                     static_cast<int>(mine), size);
}

Communicator& Mesh::shared(const std::string& name, const Ranks& ranks) {
  auto& group = shared_[ranks];
  if (!group) group = make(name, ranks);
  return *group;
}

Stream& Mesh::add_stream() {
  return *streams_.emplace_back(std::make_unique<Stream>(device_));
}

PipelineEdge Mesh::edge(const char* kind, int from_stage, int to_stage) {
  const auto at = [&](int stage) { return stage * stage_size() + stage_rank(); };
  const bool sends = dense_.pp == from_stage;
  PipelineEdge result;
  result.stream = std::make_unique<Stream>(device_);
  result.ranks = make_group_(
      std::string(kind) + "." + std::to_string(at(from_stage)) + "-" + std::to_string(at(to_stage)),
      sends ? 0 : 1, 2);
  return result;
}

}  // namespace fulgur
