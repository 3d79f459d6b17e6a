#include <algorithm>
#include <cstddef>
#include <functional>

#include "runtime/comm/nccl/check.hpp"
#include "runtime/comm/nccl/communicator.hpp"

namespace fulgur::nccl {
namespace {

// Where the calls of one operation go.
struct Target {
  int rank;
  ncclComm_t comm;
  cudaStream_t stream;
};

std::size_t size_of(std::int64_t count) {
  return static_cast<std::size_t>(count);
}

bool are_equal(const std::vector<std::int64_t>& counts) {
  return std::adjacent_find(counts.begin(), counts.end(), std::not_equal_to<>()) == counts.end();
}

// part(r, data, count) for the run of each rank r whose count is not 0.
template <class Part>
void for_each_run(const Tensor& tensor, const std::vector<std::int64_t>& counts, const Part& part) {
  auto* data = static_cast<std::byte*>(tensor.data);
  for (std::size_t r = 0; r < counts.size(); ++r) {
    if (counts[r] == 0) continue;  // an empty tensor may have no memory
    part(static_cast<int>(r), data, size_of(counts[r]));
    data += size_of(counts[r]) * size_bytes(tensor.dtype);
  }
}

// A maximum of floats comes here as the keys that lie in `out` already.
void all_reduce(const Operation& operation, const Target& to) {
  const auto& out = operation.out;
  const void* in = operation.in.data;
  auto type = data_type(out.dtype);
  if (operation.reduce == ReduceOp::kMax && (type == ncclFloat32 || type == ncclFloat64)) {
    in = out.data;
    type = type == ncclFloat32 ? ncclInt32 : ncclInt64;
  }
  const auto op = operation.reduce == ReduceOp::kMax ? ncclMax : ncclSum;
  check(ncclAllReduce(in, out.data, size_of(out.count()), type, op, to.comm, to.stream),
        "ncclAllReduce");
}

// Cost with unequal counts: a broadcast from each rank.
void all_gather(const Operation& operation, const Target& to) {
  const auto type = data_type(operation.out.dtype);
  const auto& counts = operation.recv_counts;
  if (are_equal(counts)) {
    check(ncclAllGather(operation.in.data, operation.out.data, size_of(counts.front()), type,
                        to.comm, to.stream),
          "ncclAllGather");
    return;
  }
  for_each_run(operation.out, counts, [&](int root, std::byte* data, std::size_t count) {
    const void* in = root == to.rank ? operation.in.data : data;
    check(ncclBroadcast(in, data, count, type, root, to.comm, to.stream), "ncclBroadcast");
  });
}

// Cost with unequal counts: a reduction to each rank.
void reduce_scatter(const Operation& operation, const Target& to) {
  const auto type = data_type(operation.in.dtype);
  const auto& counts = operation.send_counts;
  if (are_equal(counts)) {
    check(ncclReduceScatter(operation.in.data, operation.out.data, size_of(counts.front()), type,
                            ncclSum, to.comm, to.stream),
          "ncclReduceScatter");
    return;
  }
  for_each_run(operation.in, counts, [&](int root, std::byte* data, std::size_t count) {
    void* out = root == to.rank ? operation.out.data : data;  // of others nothing is written
    check(ncclReduce(data, out, count, type, ncclSum, root, to.comm, to.stream), "ncclReduce");
  });
}

void all_to_all(const Operation& operation, const Target& to) {
  for_each_run(
      operation.in, operation.send_counts, [&](int peer, const std::byte* data, std::size_t count) {
        check(ncclSend(data, count, data_type(operation.in.dtype), peer, to.comm, to.stream),
              "ncclSend");
      });
  for_each_run(
      operation.out, operation.recv_counts, [&](int peer, std::byte* data, std::size_t count) {
        check(ncclRecv(data, count, data_type(operation.out.dtype), peer, to.comm, to.stream),
              "ncclRecv");
      });
}

}  // namespace

void call(const Operation& operation, int rank, std::byte* spare, ncclComm_t comm,
          cudaStream_t stream) {
  const Target to{rank, comm, stream};
  const auto& in = operation.in;
  const auto& out = operation.out;
  switch (operation.kind) {
    case OperationKind::kAllReduce:
      return all_reduce(operation, to);
    case OperationKind::kAllGather:
      return all_gather(operation, to);
    case OperationKind::kReduceScatter:
      return reduce_scatter(operation, to);
    case OperationKind::kAllToAll:
      return all_to_all(operation, to);
    case OperationKind::kBroadcast:
      return check(ncclBroadcast(in.data, out.data, size_of(out.count()), data_type(out.dtype),
                                 operation.peer, comm, stream),
                   "ncclBroadcast");
    case OperationKind::kSend:
      return check(
          ncclSend(in.data, size_of(in.count()), data_type(in.dtype), operation.peer, comm, stream),
          "ncclSend");
    case OperationKind::kRecv:
      return check(ncclRecv(out.data, size_of(out.count()), data_type(out.dtype), operation.peer,
                            comm, stream),
                   "ncclRecv");
    case OperationKind::kBarrier:
      return check(ncclAllReduce(spare, spare, 1, ncclFloat32, ncclSum, comm, stream),
                   "ncclAllReduce");
  }
}

}  // namespace fulgur::nccl
