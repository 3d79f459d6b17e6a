#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "kernels/memory.hpp"
#include "runtime/comm/nccl.hpp"
#include "runtime/comm/nccl/check.hpp"
#include "runtime/comm/nccl/link.hpp"

// How the ranks of a group find each other and connect.
namespace fulgur::nccl {
namespace {

using std::chrono::milliseconds;

// NCCL reads its environment once, at its first call.
void prefer_early_connections() {
  static std::once_flag once;
  std::call_once(once, [] { ::setenv("NCCL_RUNTIME_CONNECT", "0", 0); });
}

// What is left of the time, never less than a look.
milliseconds until(std::chrono::steady_clock::time_point deadline) {
  const auto rest = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
  return std::max(rest, milliseconds(1));
}

}  // namespace

std::byte* spare_bytes(int device) {
  static std::mutex mutex;
  static auto* const buffers = new std::map<int, Buffer>;  // outlives the CUDA runtime's own end
  const std::lock_guard lock(mutex);
  auto& buffer = (*buffers)[device];
  if (buffer.data() == nullptr) buffer = Buffer(Device::kCuda, 256);
  return static_cast<std::byte*>(buffer.data());
}

void Link::open(Store& store) {
  prefer_early_connections();
  std::thread([link = shared_from_this()] { link->watch(); }).detach();
  try {
    const auto deadline = Clock::now() + self_.timeout;
    const auto id = exchange_id(store);
    {
      const std::lock_guard lock(calls_);
      ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
      config.blocking = 0;
      check(ncclCommInitRankConfig(&comm_, self_.size, id, self_.rank, &config),
            "ncclCommInitRankConfig");
      wait_until_ready(deadline);
    }
    if (self_.size <= kMaxConnectedRanks) connect_pairs();
  } catch (const CommError& error) {
    close();
    throw CommError(error.kind(), "communicator of group " + self_.group + " on rank " +
                                      std::to_string(self_.rank) + ": " + error.what());
  } catch (...) {
    close();
    throw;
  }
}

// Rank 0 hands out the id when all ranks have come, so that nobody waits inside NCCL for a rank
// that never came.
ncclUniqueId Link::exchange_id(Store& store) const {
  const std::string prefix = self_.group + "/nccl/";
  const auto deadline = Clock::now() + self_.timeout;
  ncclUniqueId id;
  if (self_.rank != 0) {
    store.set(prefix + std::to_string(self_.rank), "here");
    const auto value = store.get(prefix + "id", until(deadline));
    if (value.size() != sizeof(id)) {
      throw CommError(CommError::Kind::kMismatch, "store: key " + prefix + "id holds no NCCL id");
    }
    std::memcpy(&id, value.data(), sizeof(id));
    return id;
  }
  for (int rank = 1; rank < self_.size; ++rank)
    store.get(prefix + std::to_string(rank), until(deadline));
  check(ncclGetUniqueId(&id), "ncclGetUniqueId");
  store.set(prefix + "id", std::string_view(id.internal, sizeof(id)));
  return id;
}

// A byte from every rank to every other: NCCL connects two ranks when they first exchange
// something.
void Link::connect_pairs() {
  Stream stream(Device::kCuda);
  auto* const spare = spare_bytes(device_);
  try {
    launch([&](ncclComm_t comm) {
      for (int peer = 0; peer < self_.size; ++peer) {
        if (peer == self_.rank) continue;
        check(ncclSend(spare + 64, 1, ncclUint8, peer, comm, native(stream)), "ncclSend");
        check(ncclRecv(spare + 128 + peer, 1, ncclUint8, peer, comm, native(stream)), "ncclRecv");
      }
    });
    const auto deadline = Clock::now() + self_.timeout;
    for (const auto end = stream.record(); !end.has_passed();) {
      if (Clock::now() > deadline)
        throw CommError(CommError::Kind::kTimeout, "the first exchange does not end");
      std::this_thread::sleep_for(milliseconds(1));
    }
  } catch (...) {
    close();  // so that the stream, which waits for its work, can end
    throw;
  }
}

}  // namespace fulgur::nccl
