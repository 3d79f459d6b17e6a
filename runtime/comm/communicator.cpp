#include "runtime/comm/communicator.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>
#include <utility>

#include "kernels/memory.hpp"
#include "runtime/comm/flight_recorder.hpp"

namespace fulgur {
namespace {

bool overlap(const Tensor& a, const Tensor& b) {
  const auto* a_begin = static_cast<const std::byte*>(a.data);
  const auto* b_begin = static_cast<const std::byte*>(b.data);
  const std::less<> before;
  return before(a_begin, b_begin + b.bytes()) && before(b_begin, a_begin + a.bytes());
}

// True when no rank of the group has anything to move. The counts of all_to_all are this rank's
// own: others may have something to exchange.
bool is_empty(const Operation& operation) {
  switch (operation.kind) {
    case OperationKind::kAllReduce:
    case OperationKind::kReduceScatter:
    case OperationKind::kBroadcast:
    case OperationKind::kSend:
      return operation.in.count() == 0;
    case OperationKind::kAllGather:
    case OperationKind::kRecv:
      return operation.out.count() == 0;
    case OperationKind::kAllToAll:
    case OperationKind::kBarrier:
      return false;
  }
  return false;
}

std::vector<std::int64_t> to_vector(std::span<const std::int64_t> counts) {
  return {counts.begin(), counts.end()};
}

}  // namespace

Communicator::Communicator(Membership self, Device device)
    : name_(std::move(self.group)),
      rank_(self.rank),
      size_(self.size),
      timeout_(self.timeout),
      device_(device),
      recorder_(self.recorder) {
  if (size_ < 1 || rank_ < 0 || rank_ >= size_) {
    throw std::invalid_argument("communicator of group " + name_ + ": rank " +
                                std::to_string(rank_) + " of " + std::to_string(size_) + " ranks");
  }
  if (timeout_.count() <= 0) {
    throw std::invalid_argument("communicator of group " + name_ +
                                ": timeout: expected more than 0 ms, got " +
                                std::to_string(timeout_.count()));
  }
  num_sends_.resize(static_cast<std::size_t>(size_));
  num_receives_.resize(static_cast<std::size_t>(size_));
}

void Communicator::all_reduce(const Tensor& in, const Tensor& out, ReduceOp op, Stream& stream,
                              std::string_view what) {
  constexpr auto kKind = OperationKind::kAllReduce;
  check_stream(kKind, stream);
  check_tensor(kKind, "in", in);
  check_tensor(kKind, "out", out);
  check_dtype(kKind, in.dtype, {DType::kFloat32, DType::kFloat64, DType::kInt32, DType::kInt64});
  check_count(kKind, "out", out, in.count());
  check_pair(kKind, in, out, in.data == out.data);
  submit({.kind = kKind, .what = std::string(what), .in = in, .out = out, .reduce = op}, stream);
}

void Communicator::all_gather(const Tensor& in, const Tensor& out, Stream& stream,
                              std::string_view what) {
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(size_), in.count());
  all_gather_v(in, out, counts, stream, what);
}

void Communicator::all_gather_v(const Tensor& in, const Tensor& out,
                                std::span<const std::int64_t> counts, Stream& stream,
                                std::string_view what) {
  constexpr auto kKind = OperationKind::kAllGather;
  check_stream(kKind, stream);
  check_tensor(kKind, "in", in);
  check_tensor(kKind, "out", out);
  check_counts(kKind, "counts", counts, out.count());
  check_count(kKind, "in", in, counts[static_cast<std::size_t>(rank_)]);
  const auto before = std::accumulate(counts.begin(), counts.begin() + rank_, std::int64_t{0});
  const auto own = static_cast<std::size_t>(before) * size_bytes(out.dtype);
  const bool in_place = in.data == static_cast<const std::byte*>(out.data) + own;
  check_pair(kKind, in, out, in_place);
  submit({.kind = kKind,
          .what = std::string(what),
          .in = in,
          .out = out,
          .recv_counts = to_vector(counts)},
         stream);
}

void Communicator::reduce_scatter(const Tensor& in, const Tensor& out, Stream& stream,
                                  std::string_view what) {
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(size_), out.count());
  reduce_scatter_v(in, out, counts, stream, what);
}

void Communicator::reduce_scatter_v(const Tensor& in, const Tensor& out,
                                    std::span<const std::int64_t> counts, Stream& stream,
                                    std::string_view what) {
  constexpr auto kKind = OperationKind::kReduceScatter;
  check_stream(kKind, stream);
  check_tensor(kKind, "in", in);
  check_tensor(kKind, "out", out);
  check_dtype(kKind, in.dtype, {DType::kFloat32, DType::kFloat64, DType::kBFloat16});
  check_counts(kKind, "counts", counts, in.count());
  check_count(kKind, "out", out, counts[static_cast<std::size_t>(rank_)]);
  check_pair(kKind, in, out);
  submit({.kind = kKind,
          .what = std::string(what),
          .in = in,
          .out = out,
          .send_counts = to_vector(counts)},
         stream);
}

void Communicator::all_to_all_v(const Tensor& in, std::span<const std::int64_t> send_counts,
                                const Tensor& out, std::span<const std::int64_t> recv_counts,
                                Stream& stream, std::string_view what) {
  constexpr auto kKind = OperationKind::kAllToAll;
  check_stream(kKind, stream);
  check_tensor(kKind, "in", in);
  check_tensor(kKind, "out", out);
  check_counts(kKind, "send_counts", send_counts, in.count());
  check_counts(kKind, "recv_counts", recv_counts, out.count());
  check_pair(kKind, in, out);
  const auto self = static_cast<std::size_t>(rank_);
  if (send_counts[self] != recv_counts[self]) {
    refuse(kKind, "recv_counts[" + std::to_string(rank_) + "] (this rank's own): expected " +
                      std::to_string(send_counts[self]) + " as in send_counts, got " +
                      std::to_string(recv_counts[self]));
  }
  submit({.kind = kKind,
          .what = std::string(what),
          .in = in,
          .out = out,
          .send_counts = to_vector(send_counts),
          .recv_counts = to_vector(recv_counts)},
         stream);
}

void Communicator::broadcast(const Tensor& tensor, int root, Stream& stream,
                             std::string_view what) {
  constexpr auto kKind = OperationKind::kBroadcast;
  check_stream(kKind, stream);
  check_tensor(kKind, "tensor", tensor);
  check_peer(kKind, "root", root);
  submit({.kind = kKind, .what = std::string(what), .in = tensor, .out = tensor, .peer = root},
         stream);
}

void Communicator::send(const Tensor& in, int to, Stream& stream, std::string_view what) {
  constexpr auto kKind = OperationKind::kSend;
  check_stream(kKind, stream);
  check_tensor(kKind, "in", in);
  check_peer(kKind, "to", to);
  if (to == rank_) refuse(kKind, "to: a rank cannot send to itself");
  submit({.kind = kKind, .what = std::string(what), .in = in, .peer = to}, stream);
}

void Communicator::recv(const Tensor& out, int from, Stream& stream, std::string_view what) {
  constexpr auto kKind = OperationKind::kRecv;
  check_stream(kKind, stream);
  check_tensor(kKind, "out", out);
  check_peer(kKind, "from", from);
  if (from == rank_) refuse(kKind, "from: a rank cannot receive from itself");
  submit({.kind = kKind, .what = std::string(what), .out = out, .peer = from}, stream);
}

void Communicator::barrier(Stream& stream, std::string_view what) {
  check_stream(OperationKind::kBarrier, stream);
  submit({.kind = OperationKind::kBarrier, .what = std::string(what)}, stream);
}

std::uint64_t Communicator::next_number(const Operation& operation) {
  const auto peer = static_cast<std::size_t>(operation.peer);
  if (operation.kind == OperationKind::kSend) return ++num_sends_[peer];
  if (operation.kind == OperationKind::kRecv) return ++num_receives_[peer];
  return ++num_collectives_;
}

void Communicator::submit(Operation operation, Stream& stream) {
  // Counted also when nothing moves, because other ranks count it too.
  operation.number = next_number(operation);
  if (is_empty(operation)) return;
  if (size_ == 1) {
    if (operation.in.data == operation.out.data) return;  // in place, a broadcast or a barrier
    if (operation.in.count() == 0) return;
    const Shape flat{operation.in.count()};
    copy(operation.in.view(flat), operation.out.view(flat), stream);
    return;
  }
  if (recorder_ != nullptr) operation.ticket = recorder_->queued(name_, operation);
  queue(std::move(operation), stream);
}

void Communicator::check_stream(OperationKind kind, const Stream& stream) const {
  if (stream.device() == device_) return;
  const auto word = [](Device device) { return device == Device::kCpu ? "cpu" : "cuda"; };
  refuse(kind, std::string("stream: expected one of device ") + word(device_) +
                   ", where this communicator moves tensors, got " + word(stream.device()));
}

void Communicator::check_tensor(OperationKind kind, std::string_view name,
                                const Tensor& tensor) const {
  if (!tensor.is_contiguous()) refuse(kind, std::string(name) + ": expected a contiguous tensor");
  if (tensor.data == nullptr && tensor.count() != 0) {
    refuse(kind, std::string(name) + ": expected memory for " + std::to_string(tensor.count()) +
                     " elements, got a null pointer");
  }
}

void Communicator::check_pair(OperationKind kind, const Tensor& in, const Tensor& out,
                              bool in_place) const {
  if (in.dtype != out.dtype) {
    refuse(kind, "out: expected dtype " + std::string(to_string(in.dtype)) + " as in, got " +
                     std::string(to_string(out.dtype)));
  }
  if (!in_place && overlap(in, out)) refuse(kind, "out: overlaps in");
}

void Communicator::check_counts(OperationKind kind, std::string_view name,
                                std::span<const std::int64_t> counts,
                                std::int64_t expected_sum) const {
  const std::string prefix = std::string(name) + ": ";
  if (counts.size() != static_cast<std::size_t>(size_)) {
    refuse(kind, prefix + "expected one count for each of " + std::to_string(size_) +
                     " ranks, got " + std::to_string(counts.size()));
  }
  if (std::any_of(counts.begin(), counts.end(), [](std::int64_t count) { return count < 0; })) {
    refuse(kind, prefix + "expected no negative count");
  }
  const auto sum = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  if (sum != expected_sum) {
    refuse(kind, prefix + "expected a sum of " + std::to_string(expected_sum) +
                     ", the elements of the tensor, got " + std::to_string(sum));
  }
}

void Communicator::check_count(OperationKind kind, std::string_view name, const Tensor& tensor,
                               std::int64_t expected) const {
  if (tensor.count() == expected) return;
  refuse(kind, std::string(name) + ": expected " + std::to_string(expected) + " elements, got " +
                   std::to_string(tensor.count()));
}

void Communicator::check_dtype(OperationKind kind, DType dtype,
                               std::initializer_list<DType> allowed) const {
  if (std::find(allowed.begin(), allowed.end(), dtype) != allowed.end()) return;
  std::string names;
  for (const DType one : allowed)
    names += (names.empty() ? "" : ", ") + std::string(to_string(one));
  refuse(kind, "in: expected a dtype of " + names + ", got " + std::string(to_string(dtype)));
}

void Communicator::check_peer(OperationKind kind, std::string_view name, int peer) const {
  if (peer >= 0 && peer < size_) return;
  refuse(kind, std::string(name) + ": expected a rank below " + std::to_string(size_) + ", got " +
                   std::to_string(peer));
}

void Communicator::refuse(OperationKind kind, const std::string& problem) const {
  throw std::invalid_argument(std::string(to_string(kind)) + " of group " + name_ + " on rank " +
                              std::to_string(rank_) + ": " + problem);
}

}  // namespace fulgur
