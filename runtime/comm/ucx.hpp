#pragma once

#include <memory>

#include "runtime/comm/communicator.hpp"
#include "runtime/comm/store.hpp"

namespace fulgur {

// The UCX library opened for this process: which transports there are (shared memory, TCP,
// InfiniBand) and how they are set. One for a process is enough. May be used from several threads.
// Communicators keep what they need of it alive.
//
// UCX is configured by its own environment variables (UCX_TLS, UCX_NET_DEVICES, ...). Where the
// environment says nothing, this constructor differs from UCX's defaults:
//
//   UCX_POSIX_ERROR_HANDLING, UCX_SYSV_ERROR_HANDLING = y   shared memory also where the death of a
//                                                           peer is to be noticed
//   UCX_POSIX_SEG_SIZE, UCX_SYSV_SEG_SIZE = 60K             fewer and longer segments for long
//   UCX_POSIX_FIFO_SIZE, UCX_SYSV_FIFO_SIZE = 16            messages over shared memory
//   UCX_POSIX_RX_BUFS_GROW, UCX_SYSV_RX_BUFS_GROW = 32
//   UCX_TCP_RX_SEG_SIZE = 256K, UCX_TCP_TX_SEG_SIZE = 64K   the same for TCP
//   UCX_KEEPALIVE_INTERVAL = 1s                             how soon a peer's death is noticed on
//                                                           shared memory
//   UCX_ERROR_SIGNALS empty                                 UCX leaves the signal handlers alone
class UcxContext {
 public:
  // Throws CommError::Kind::kTransport when UCX cannot be opened.
  UcxContext();

  // Whether a group of this context has had more ranks on this host than cores for them. All groups
  // of the context then hardly spin while they wait, also small groups that have cores enough: ranks
  // that they do not know want those cores. A group of all ranks of a job makes that certain.
  bool is_crowded() const noexcept;

  struct Impl;
  const std::shared_ptr<Impl>& impl() const noexcept { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

// A communicator of host memory over UCX: the ranks are processes, or threads, on any hosts that
// reach each other.
//
// Collective over the group: all ranks call it, each with its own rank, and it returns when all are
// connected. The ranks find each other under the keys "<group>/ucx/<rank>" of the store, so a group
// name serves once for a store. Throws CommError when a rank does not come within the timeout.
//
// Waiting. An operation spins for some microseconds and then sleeps until data come; it hardly
//          spins when the context is crowded.
// Failure. The death of a peer's process is seen as kPeerLost, over shared memory within seconds. A
//          peer that hangs, or an unplugged cable, is seen as kTimeout only: whoever knows better
//          calls abort(). What other ranks receive from an aborted operation is not defined.
// Trust.   Data travel as they are, neither encrypted nor signed: the network must be private.
std::unique_ptr<Communicator> make_ucx_communicator(const UcxContext& context, Store& store,
                                                    const Membership& self);

}  // namespace fulgur
