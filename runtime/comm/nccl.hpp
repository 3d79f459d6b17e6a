#pragma once

#include <memory>
#include <string>

#include "runtime/comm/communicator.hpp"
#include "runtime/comm/store.hpp"

namespace fulgur {

// Whether this build has NCCL. Without it make_nccl_communicator() throws.
bool has_nccl() noexcept;

// The version of the library, as "2.28.3"; empty without NCCL.
std::string nccl_version();

// A communicator of GPU memory over NCCL: one GPU for each rank; the ranks are processes on any
// hosts, or threads that have each chosen a GPU of their own.
//
// Collective over the group: all ranks call it, each with its own rank and on a thread that has
// chosen its GPU (use_cuda_device), and it returns when all are connected. The id of the group
// travels under the key "<group>/nccl/id" of the store, and under "<group>/nccl/<rank>" each rank
// says that it is there, so a group name serves once for a store. Throws CommError when a rank does
// not come within the timeout or NCCL cannot be set up, and std::runtime_error in a build without
// NCCL.
//
// NCCL is configured by its own environment variables (NCCL_*). Where the environment says nothing,
// the first call differs from NCCL's defaults in one point: NCCL_RUNTIME_CONNECT=0, so that all
// connections of collectives are made here and an operation never waits for other ranks on the
// host. Groups of at most kMaxConnectedRanks ranks connect all pairs here too; in larger ones the
// first operation between two ranks that exchange point to point waits for both in its call.
//
// Where a group over NCCL differs from what communicator.hpp says of all:
//
// Sums.    Every rank gets the same bits, and the same bits again from the same calls on the same
//          GPUs. The order in which the ranks are added is NCCL's and may depend on the count.
//          kMax gives NaN when any rank has NaN, as everywhere.
// Time.    The time of an operation counts from when its stream reaches it, and the whole operation
//          is one piece of progress: timeout() must be longer than the longest transfer.
// Failure. A failed operation leaves its stream; kernels queued behind it run on memory whose
//          contents are undefined, and synchronize() throws. NCCL does not say which rank is
//          missing: a peer that dies is seen as kPeerLost over a network, and within a host as
//          kTimeout, so whoever knows better calls abort(). Operations that do not fit together are
//          not always noticed as kMismatch: they may end in kTimeout, or give wrong results.
// Streams. Operations run on streams of the communicator's GPU. When two communicators share ranks,
//          all ranks queue the operations of both in one order.
// Life.    The destructor returns when the streams have passed the operations, which it aborts, and
//          NCCL has freed its memory; for that it waits a second at most, because NCCL may wait for
//          other ranks. A thread of its own goes on with it then.
// Records. Starts and ends are seen by a watching thread, some milliseconds late.
// Cost.    A call takes the host some 70 us: NCCL launches on a thread of its own, so that a launch
//          that cannot go on is no obstacle to abort().
// Trust.   Data travel as they are, neither encrypted nor signed: the network must be private.
std::unique_ptr<Communicator> make_nccl_communicator(Store& store, const Membership& self);

inline constexpr int kMaxConnectedRanks = 64;

}  // namespace fulgur
