#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"
#include "runtime/comm/operation.hpp"

namespace fulgur {

// The transport under a communicator failed. The communicator is then of no further use: destroy
// it and build a new one from the ranks that are left. Wrong arguments are not this error; they
// throw std::invalid_argument and leave the communicator usable.
class CommError : public std::runtime_error {
 public:
  enum class Kind {
    kTimeout,    // no progress for timeout()
    kPeerLost,   // another rank died or left the group
    kAborted,    // abort() was called on this rank
    kMismatch,   // the ranks called different operations, or with counts that do not fit together
    kTransport,  // the library that moves the data reports an error that names no rank
  };

  CommError(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

class FlightRecorder;

// Who makes a communicator: rank `rank` of the `size` ranks of a group.
struct Membership {
  std::string group;  // "dp", "world", ...
  int rank = 0;
  int size = 1;
  std::chrono::milliseconds timeout = std::chrono::minutes(10);
  FlightRecorder* recorder = nullptr;  // may be null; outlives the communicator
};

// An ordered group of ranks that move tensors together.
//
// Order.   Every rank of the group calls the same collectives in the same order. send and recv
//          stand outside this order; see there.
// Async.   An operation is queued on `stream` and the call returns; its tensors must stay alive,
//          and must not be written, until the stream has passed it. Operations run in the order in
//          which they were called, also when they are queued on different streams.
// Threads. One thread at a time. Two communicators may be used from two threads.
// Time.    An operation that makes no progress for timeout() ends in CommError::Kind::kTimeout.
//          This and every other CommError is thrown by the stream's next synchronize().
// Sums.    In rank order, ((x0 + x1) + x2) + ..., so every rank gets the same bits, and the same
//          bits in every run and from every backend on the CPU.
// Counts   are elements, never bytes. Tensors are contiguous, and of `in` and `out` only the dtype
//          and the count matter, not the dims.
// In place all_reduce may have in and out the same; all_gather may have as `in` this rank's part of
//          out. Otherwise in and out may not overlap.
// Life.    Destroying a communicator aborts what is still queued, never waits for other ranks, and
//          must not happen on a stream's own thread.
//
// A group of one rank copies in to out. An empty tensor moves nothing and waits for nobody.
//
// Wrong arguments (dtype, count, counts, peer, a stream of the wrong device) throw
// std::invalid_argument from the call itself, before anything is queued.
//
// Costs below are for n = size() ranks and are what one rank sends, which is also what it receives.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  const std::string& name() const noexcept { return name_; }  // of the group: "dp", "world", ...
  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }
  std::chrono::milliseconds timeout() const noexcept { return timeout_; }

  // `what` names the use ("loss", "gradients bucket 3") for the flight recorder and for errors.

  // out = op over all ranks of in. Same count on every rank. float32, float64, int32, int64.
  // Cost: 2 (n-1)/n bytes(in) in two steps; (n-1) bytes(in) in one step when that is small.
  void all_reduce(const Tensor& in, const Tensor& out, ReduceOp op, Stream& stream,
                  std::string_view what = {});

  // out = the ins of rank 0, 1, ... one behind the other; out.count() = size() in.count(). Any
  // dtype. Cost: (n-1) bytes(in).
  void all_gather(const Tensor& in, const Tensor& out, Stream& stream, std::string_view what = {});
  // The same with counts[r] elements from rank r. counts is the same on every rank.
  void all_gather_v(const Tensor& in, const Tensor& out, std::span<const std::int64_t> counts,
                    Stream& stream, std::string_view what = {});

  // out = this rank's part of the sum of all ins; in.count() = size() out.count(). float32,
  // float64; bfloat16, added up in float32 and rounded at the end, by NCCL after every rank.
  // Cost: (n-1)/n bytes(in).
  void reduce_scatter(const Tensor& in, const Tensor& out, Stream& stream,
                      std::string_view what = {});
  // The same with counts[r] elements for rank r. counts is the same on every rank.
  void reduce_scatter_v(const Tensor& in, const Tensor& out, std::span<const std::int64_t> counts,
                        Stream& stream, std::string_view what = {});

  // send_counts[r] elements of in, one run behind the other, go to rank r; out receives
  // recv_counts[r] from rank r in rank order. send_counts[b] of a equals recv_counts[a] of b.
  // Any dtype. Cost: bytes(in) less what this rank keeps.
  void all_to_all_v(const Tensor& in, std::span<const std::int64_t> send_counts, const Tensor& out,
                    std::span<const std::int64_t> recv_counts, Stream& stream,
                    std::string_view what = {});

  // tensor of rank `root` on every rank. Any dtype. Cost: a rank sends at most log2(n)
  // bytes(tensor).
  void broadcast(const Tensor& tensor, int root, Stream& stream, std::string_view what = {});

  // Point to point, any dtype. The sends of a pair match its receives in call order; there are no
  // tags. A send may wait for its receive: two ranks that send to each other before either receives
  // on the same stream may wait until the timeout.
  void send(const Tensor& in, int to, Stream& stream, std::string_view what = {});
  void recv(const Tensor& out, int from, Stream& stream, std::string_view what = {});

  // The stream passes it when every rank's stream has reached it. Cost: log2(n) empty messages.
  void barrier(Stream& stream, std::string_view what = {});

  // Unblocks this rank: pending and later operations throw CommError::Kind::kAborted. The other
  // ranks see kAborted, kPeerLost or kTimeout. May be called from any thread.
  virtual void abort() noexcept = 0;

 protected:
  // `device` is where the tensors lie. Throws std::invalid_argument unless 0 <= rank < size and
  // timeout > 0.
  Communicator(Membership self, Device device);

  FlightRecorder* recorder() const noexcept { return recorder_; }

 private:
  // What a backend implements: queues one operation with checked arguments. size() > 1.
  virtual void queue(Operation operation, Stream& stream) = 0;

  // Numbers and records the operation and hands it to the backend, or answers it here.
  void submit(Operation operation, Stream& stream);
  std::uint64_t next_number(const Operation& operation);

  void check_stream(OperationKind kind, const Stream& stream) const;
  void check_tensor(OperationKind kind, std::string_view name, const Tensor& tensor) const;
  void check_pair(OperationKind kind, const Tensor& in, const Tensor& out,
                  bool in_place = false) const;
  void check_counts(OperationKind kind, std::string_view name, std::span<const std::int64_t> counts,
                    std::int64_t expected_sum) const;
  void check_count(OperationKind kind, std::string_view name, const Tensor& tensor,
                   std::int64_t expected) const;
  void check_dtype(OperationKind kind, DType dtype, std::initializer_list<DType> allowed) const;
  void check_peer(OperationKind kind, std::string_view name, int peer) const;
  [[noreturn]] void refuse(OperationKind kind, const std::string& problem) const;

  std::string name_;
  int rank_;
  int size_;
  std::chrono::milliseconds timeout_;
  Device device_;
  FlightRecorder* recorder_;                 // may be null
  std::uint64_t num_collectives_ = 0;        // called so far
  std::vector<std::uint64_t> num_sends_;     // [size] to each rank so far
  std::vector<std::uint64_t> num_receives_;  // [size] from each rank so far
};

}  // namespace fulgur
