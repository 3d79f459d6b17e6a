#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "recipes/layout.hpp"
#include "recipes/parameters.hpp"
#include "runtime/comm/communicator.hpp"

namespace fulgur {

// Makes this rank's communicator of a group: collective over the group's ranks. A name is used by one
// group only. The worker makes them of UCX, tests of threads.
using MakeGroup =
    std::function<std::unique_ptr<Communicator>(const std::string& name, int rank, int size)>;

// For a layout of one rank.
MakeGroup alone(Device device = Device::kCpu);

// One direction between neighbouring pipeline stages: a group of two ranks, the sender first, and a
// stream of its own, so that no message waits for another kind of message (docs/math.md 2.6).
struct PipelineEdge {
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Communicator> ranks;  // goes before the stream, which may wait inside it
};

// The place of one rank in both meshes of a layout (docs/math.md 2), and the groups that it belongs to.
// Groups are made once, and only for the axes in use; an axis of size 1 costs nothing.
//
// Threads. One thread uses a mesh.
class Mesh {
 public:
  // Collective over all ranks of the layout. Throws std::invalid_argument when the meshes do not fit
  // together, std::out_of_range for a rank outside the world.
  Mesh(const Layout& layout, Rank rank, Device device, MakeGroup make_group,
       std::int64_t virtual_stages = 1);
  ~Mesh();
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  const Layout& layout() const noexcept { return layout_; }
  Rank rank() const noexcept { return rank_; }
  const DenseCoordinate& dense() const noexcept { return dense_; }
  const ExpertCoordinate& expert() const noexcept { return expert_; }
  Device device() const noexcept { return device_; }

  // The ranks that work on the same layers: dp x cp x tp = edp x ep x etp.
  int stage_size() const noexcept;
  int stage_rank() const noexcept { return rank_.value() % stage_size(); }
  bool is_first_stage() const noexcept { return dense_.pp == 0; }
  bool is_last_stage() const noexcept { return dense_.pp == layout_.pp - 1; }

  // Groups in whose name layers exchange tensors in the middle of their work, each with a stream of its
  // own for what overlaps with it.
  Communicator& tp() const noexcept { return *tp_; }
  Communicator& cp() const noexcept { return *cp_; }
  Communicator& ep() const noexcept { return *ep_; }
  Communicator& etp() const noexcept { return *etp_; }
  Stream& cp_stream() const noexcept { return *cp_stream_; }
  Stream& ep_stream() const noexcept { return *ep_stream_; }
  Stream& etp_stream() const noexcept { return *etp_stream_; }

  // All ranks, and those of this stage.
  Communicator& world() const noexcept { return *world_; }
  Communicator& stage() const noexcept { return *stage_; }

  // The ranks that hold the same part of a parameter, over which its gradient is summed: for an expert's
  // edp, for others dp x cp x `copies`, with copies the number of neighbouring tp ranks that hold the
  // same part. Collective when the group is asked for for the first time.
  Communicator& replicas(ParameterKind kind, int copies);
  // For reductions of gradients and gathering of weights beside the backward and forward pass.
  Stream& replica_stream() const noexcept { return *replica_stream_; }

  // Activations come from the stage before and go to the one behind, gradients the other way; with
  // virtual stages the first stage is behind the last one. An edge that leads nowhere has no ranks.
  PipelineEdge& activations_in() { return activations_in_; }
  PipelineEdge& activations_out() { return activations_out_; }
  PipelineEdge& gradients_in() { return gradients_in_; }
  PipelineEdge& gradients_out() { return gradients_out_; }

  // Waits for `compute` and all streams of the mesh, then throws the first exception of any of them.
  void synchronize(Stream& compute) const;

  // Waits for `event` alone; what is queued behind it goes on. If work of any of the streams has failed by
  // then, as synchronize().
  void wait_for(const Event& event, Stream& compute) const;

  // Ends what is still queued on them, by aborting all communicators if there is anything, and waits:
  // afterwards nothing reads or writes memory that the work was given. The mesh is then of no further
  // use.
  void stop(Stream& compute) noexcept;

 private:
  using Ranks = std::vector<int>;  // of the world, rising
  template <class Call>
  void for_each_stream(Call call) const;
  template <class Call>
  void for_each_group(Call call) const;
  std::unique_ptr<Communicator> make(const std::string& name, const Ranks& ranks) const;
  Communicator& shared(const std::string& name, const Ranks& ranks);
  Stream& add_stream();
  PipelineEdge edge(const char* kind, int from_stage, int to_stage);
  template <class Same>
  Ranks ranks_with(Same same) const;

  Layout layout_;
  Rank rank_;
  Device device_;
  DenseCoordinate dense_;
  ExpertCoordinate expert_;
  MakeGroup make_group_;
  // Streams are shared by axes of size 1, which queue nothing. They go last: a stream waits for its
  // work, which communicators end when they go.
  std::vector<std::unique_ptr<Stream>> streams_;
  Stream *cp_stream_ = nullptr, *ep_stream_ = nullptr, *etp_stream_ = nullptr;
  Stream* replica_stream_ = nullptr;
  std::map<Ranks, std::unique_ptr<Communicator>> shared_;
  std::unique_ptr<Communicator> tp_, cp_, ep_, etp_;
  Communicator* world_ = nullptr;
  Communicator* stage_ = nullptr;
  PipelineEdge activations_in_, activations_out_, gradients_in_, gradients_out_;
};

}  // namespace fulgur
