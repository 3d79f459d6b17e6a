#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/tensor.hpp"

namespace fulgur {

enum class ReduceOp { kSum, kMax };

enum class OperationKind : std::uint8_t {
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kAllToAll,
  kBroadcast,
  kSend,
  kRecv,
  kBarrier
};

std::string_view to_string(OperationKind kind) noexcept;  // "all_reduce"

// One call on a communicator, as its backend gets it: checked, numbered, and with the equal counts
// of all_gather and reduce_scatter written out.
//
// Numbers start at 1. A group counts its collectives together, so the number of a collective is the
// same on every rank; sends and receives are counted for each pair of ranks and direction.
struct Operation {
  OperationKind kind = OperationKind::kBarrier;
  std::uint64_t number = 0;
  std::string what;  // what the caller uses it for
  Tensor in;
  Tensor out;
  std::vector<std::int64_t>
      send_counts;  // [size] elements of in, for all_to_all and reduce_scatter
  std::vector<std::int64_t> recv_counts;  // [size] elements of out, for all_to_all and all_gather
  int peer = -1;                          // the root of a broadcast, the other end of send and recv
  ReduceOp reduce = ReduceOp::kSum;
  std::uint64_t ticket = 0;  // of the flight recorder
};

// "all_reduce #12 (loss) of group dp"
std::string describe(const Operation& operation, std::string_view group);

}  // namespace fulgur
