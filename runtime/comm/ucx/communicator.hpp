#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "runtime/comm/host_communicator.hpp"
#include "runtime/comm/ucx/channel.hpp"

namespace fulgur::ucx {

// Long messages are cut, so that a timeout is about a piece, and pieces are added up while the next
// ones are on their way. 1 MiB is where shared memory and TCP are fastest on a host.
inline constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

// The pieces of a pair of ranks that may be under way at a time.
inline constexpr std::size_t kWindow = 4;

inline constexpr std::size_t num_pieces(std::size_t bytes) {
  return (bytes + kPieceBytes - 1) / kPieceBytes;
}

// Piece `index` of `bytes`: where it begins and how long it is.
struct Piece {
  std::size_t begin = 0;
  std::size_t size = 0;
};
inline constexpr Piece piece(std::size_t bytes, std::size_t index) {
  const std::size_t begin = index * kPieceBytes;
  return {begin, bytes - begin < kPieceBytes ? bytes - begin : kPieceBytes};
}

// Some bytes of a tensor for, or from, one rank.
struct Run {
  std::byte* data = nullptr;
  std::size_t size = 0;
};

// Each algorithm is a file of its own: exchange, reduce, broadcast, barrier, point_to_point.
class UcxCommunicator final : public HostCommunicator {
 public:
  UcxCommunicator(std::shared_ptr<UcxContext::Impl> context, Store& store, const Membership& self);
  UcxCommunicator(const UcxCommunicator&) = delete;
  UcxCommunicator& operator=(const UcxCommunicator&) = delete;
  ~UcxCommunicator() override;

 private:
  void connect(Store& store);
  void greet(const Operation& operation);

  // Runs `steps` as one operation of the channel.
  void within(const Operation& operation, const std::function<void()>& steps);

  void all_reduce_now(const Operation& operation) override;
  void all_gather_now(const Operation& operation) override;
  void reduce_scatter_now(const Operation& operation) override;
  void all_to_all_now(const Operation& operation) override;
  void broadcast_now(const Operation& operation) override;
  void send_now(const Operation& operation) override;
  void recv_now(const Operation& operation) override;
  void barrier_now(const Operation& operation) override;
  void interrupt() noexcept override { channel_.abort(); }

  // exchange.cpp: sends[r] goes to rank r, receives[r] is filled by it; both may be the same memory
  // for this rank itself. Steps count from first_step.
  void exchange(std::span<const Run> sends, std::span<const Run> receives, std::size_t first_step);
  // reduce.cpp: `out` becomes the reduction of parts[rank()] over all ranks, where parts are the
  // runs of this rank's input. Returns the number of steps.
  std::size_t reduce_parts(const Operation& operation, std::span<const Run> parts, std::byte* out);
  void combine_pieces(const Operation& operation, const Piece& where, std::span<const Run> parts,
                      const std::byte* received, std::byte* out);
  void all_reduce_small(const Operation& operation);
  void all_reduce_large(const Operation& operation);

  std::byte* staging(std::size_t bytes);  // kept from operation to operation
  std::size_t self() const noexcept { return static_cast<std::size_t>(rank()); }
  std::size_t num_ranks() const noexcept { return static_cast<std::size_t>(size()); }
  // The rank `distance` places behind this one in the ring of ranks. All ranks going round in this
  // order, no two of them turn to the same peer at a time.
  int around(std::size_t distance) const noexcept {
    return static_cast<int>((self() + distance) % num_ranks());
  }

  Channel channel_;
  std::vector<std::byte> staging_;
};

// The runs of consecutive counts in a tensor of `width` bytes an element.
std::vector<Run> runs_of(std::byte* data, std::span<const std::int64_t> counts, std::size_t width);

}  // namespace fulgur::ucx
