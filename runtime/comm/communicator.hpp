#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

#include "kernels/stream.hpp"
#include "kernels/tensor.hpp"

namespace fulgur {

// The transport under a communicator failed. The communicator is then of no further use: destroy
// it and build a new one from the ranks that are left. Wrong arguments are not this error; they
// throw std::invalid_argument and leave the communicator usable.
class CommError : public std::runtime_error {
 public:
  enum class Kind { kTimeout, kPeerLost, kAborted };

  CommError(Kind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

enum class ReduceOp { kSum, kMax };

class FlightRecorder;

// An ordered group of ranks that move tensors together.
//
// Order.   Every rank of the group calls the same operations in the same order.
// Async.   An operation is queued on `stream` and the call returns; its tensors must stay alive,
//          and must not be written, until the stream has passed it.
// Threads. One thread at a time. Two communicators may be used from two threads.
// Time.    An operation that makes no progress for timeout() ends in CommError::Kind::kTimeout, thrown
//          by the stream's next synchronize().
// Sums.    In rank order, so every rank gets the same bits, and the same bits in every run.
// Counts are elements, never bytes. Tensors are contiguous. In place (in and out the same tensor) is
// allowed for all_reduce and broadcast only.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  const std::string& name() const noexcept { return name_; }  // of the group: "dp", "world", ...
  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }
  std::chrono::milliseconds timeout() const noexcept { return timeout_; }

  // `what` names the use ("loss", "gradients bucket 3") for the flight recorder.

  // out = op over all ranks of in. float32, float64, int32, int64.
  void all_reduce(const Tensor& in, const Tensor& out, ReduceOp op, Stream& stream, std::string_view what = {});

  // out = the ins of rank 0, 1, ... one behind the other; out.count() = size() in.count().
  void all_gather(const Tensor& in, const Tensor& out, Stream& stream, std::string_view what = {});
  // The same with counts[r] elements from rank r. counts is the same on every rank.
  void all_gather_v(const Tensor& in, const Tensor& out, std::span<const std::int64_t> counts, Stream& stream, std::string_view what = {});

  // out = this rank's part of the sum of all ins; in.count() = size() out.count(). float32, float64.
  void reduce_scatter(const Tensor& in, const Tensor& out, Stream& stream, std::string_view what = {});
  void reduce_scatter_v(const Tensor& in, const Tensor& out, std::span<const std::int64_t> counts, Stream& stream, std::string_view what = {});

  // send_counts[r] elements of in, one run behind the other, go to rank r; out receives recv_counts[r]
  // from rank r in rank order. send_counts[b] of a equals recv_counts[a] of b.
  void all_to_all_v(const Tensor& in, std::span<const std::int64_t> send_counts, const Tensor& out, std::span<const std::int64_t> recv_counts, Stream& stream, std::string_view what = {});

  // tensor of rank `root` on every rank.
  void broadcast(const Tensor& tensor, int root, Stream& stream, std::string_view what = {});

  // Point to point. Pairs match in call order; there are no tags.
  void send(const Tensor& in, int to, Stream& stream, std::string_view what = {});
  void recv(const Tensor& out, int from, Stream& stream, std::string_view what = {});

  // The stream passes it when every rank's stream has reached it.
  void barrier(Stream& stream, std::string_view what = {});

  // Unblocks this rank: pending and later operations throw CommError::Kind::kAborted. The other ranks
  // see kAborted, kPeerLost or kTimeout. May be called from any thread.
  virtual void abort() noexcept = 0;

 protected:
  Communicator(std::string name, int rank, int size, std::chrono::milliseconds timeout, FlightRecorder* recorder);

 private:
  std::string name_;
  int rank_;
  int size_;
  std::chrono::milliseconds timeout_;
  FlightRecorder* recorder_;  // may be null
};

}  // namespace fulgur
