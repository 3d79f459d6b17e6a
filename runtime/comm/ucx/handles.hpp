#pragma once

#include <ucp/api/ucp.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <utility>

#include "kernels/unique_handle.hpp"
#include "runtime/comm/ucx.hpp"

// UCX's C handles with their owners. Children keep their parents alive: a worker holds its context.
namespace fulgur::ucx {

struct ConfigTraits {
  using Handle = ucp_config_t*;
  static constexpr Handle none = nullptr;
  static void release(Handle handle) noexcept { ucp_config_release(handle); }
};
using Config = UniqueHandle<ConfigTraits>;

struct ContextTraits {
  using Handle = ucp_context_h;
  static constexpr Handle none = nullptr;
  static void release(Handle handle) noexcept { ucp_cleanup(handle); }
};
using Context = UniqueHandle<ContextTraits>;

struct WorkerTraits {
  using Handle = ucp_worker_h;
  static constexpr Handle none = nullptr;
  static void release(Handle handle) noexcept { ucp_worker_destroy(handle); }
};
using Worker = UniqueHandle<WorkerTraits>;

struct FileTraits {
  using Handle = int;
  static constexpr Handle none = -1;
  static void release(Handle handle) noexcept { ::close(handle); }
};
using File = UniqueHandle<FileTraits>;

// Throws CommError::Kind::kTransport, "ucp_init: Out of memory", unless the status is UCS_OK.
void check(ucs_status_t status, const char* call);

}  // namespace fulgur::ucx

struct fulgur::UcxContext::Impl {
  explicit Impl(ucx::Context opened) : context(std::move(opened)) {}

  ucx::Context context;
  std::atomic<bool> is_crowded = false;
};
