#include <ucs/config/global_opts.h>
#include <ucs/debug/debug.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <string>

#include "runtime/comm/ucx/handles.hpp"

namespace fulgur {
namespace ucx {
namespace {

constexpr const char* kSharedMemory[] = {"all", "shm", "sm", "mm", "posix", "sysv"};

bool set_by_user(const std::string& name) {
  return std::getenv(("UCX_" + name).c_str()) != nullptr;
}

// UCX prints a warning about settings of transports that are not used.
bool shared_memory_may_be_used() {
  const char* transports = std::getenv("UCX_TLS");
  if (transports == nullptr) return true;
  const std::string list = transports;
  return list.find('^') != std::string::npos ||
         std::any_of(std::begin(kSharedMemory), std::end(kSharedMemory),
                     [&](const char* name) { return list.find(name) != std::string::npos; });
}

// UCX installs handlers for fatal signals when it is loaded, before main. They would take the place
// of sanitizers, core dumps and our own reports.
void leave_signals_alone() {
  if (set_by_user("ERROR_SIGNALS") || set_by_user("HANDLE_ERRORS")) return;
  for (const int signal : {SIGILL, SIGSEGV, SIGBUS, SIGFPE})
    ucs_debug_disable_signal(signal);
  check(ucs_global_opts_set_value("HANDLE_ERRORS", "none"), "ucs_global_opts_set_value");
}

Config read_config() {
  ucp_config_t* handle = nullptr;
  check(ucp_config_read(nullptr, nullptr, &handle), "ucp_config_read");
  Config config(handle);
  if (shared_memory_may_be_used() && !set_by_user("POSIX_ERROR_HANDLING") &&
      !set_by_user("SYSV_ERROR_HANDLING")) {
    // MM is the common name of posix and sysv; ucp_config_modify() knows them by no other.
    check(ucp_config_modify(handle, "MM_ERROR_HANDLING", "y"), "ucp_config_modify");
  }
  if (!set_by_user("KEEPALIVE_INTERVAL")) {
    check(ucp_config_modify(handle, "KEEPALIVE_INTERVAL", "1s"), "ucp_config_modify");
  }
  return config;
}

Context open_context() {
  static std::once_flag once;  // signal handlers belong to the process
  std::call_once(once, leave_signals_alone);
  const Config config = read_config();
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED;
  params.features = UCP_FEATURE_TAG | UCP_FEATURE_WAKEUP;
  params.mt_workers_shared = 1;
  ucp_context_h handle = nullptr;
  check(ucp_init(&params, config.get(), &handle), "ucp_init");
  return Context(handle);
}

}  // namespace

void check(ucs_status_t status, const char* call) {
  if (status == UCS_OK) return;
  throw CommError(CommError::Kind::kTransport,
                  std::string(call) + ": " + ucs_status_string(status));
}

}  // namespace ucx

UcxContext::UcxContext() : impl_(std::make_shared<Impl>(Impl{ucx::open_context()})) {}

}  // namespace fulgur
