#include <ucs/config/global_opts.h>
#include <ucs/debug/debug.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/comm/ucx/handles.hpp"

namespace fulgur {
namespace ucx {
namespace {

// Settings of transports that are alike.
struct Family {
  std::vector<std::string> transports;  // their names in UCX_TLS
  std::vector<std::string> prefixes;    // of their environment variables, less "UCX_"
  std::string prefix;                   // for ucp_config_modify()
  std::vector<std::pair<std::string, std::string>> settings;
};

bool set_by_user(const std::string& name) {
  return std::getenv(("UCX_" + name).c_str()) != nullptr;
}

// UCX prints a warning about settings of transports that are not used.
bool may_be_used(const Family& family) {
  const char* transports = std::getenv("UCX_TLS");
  if (transports == nullptr) return true;
  const std::string list = transports;
  const auto is_listed = [&](const std::string& name) {
    return list.find(name) != std::string::npos;
  };
  return is_listed("^") || is_listed("all") ||
         std::any_of(family.transports.begin(), family.transports.end(), is_listed);
}

// UCX installs handlers for fatal signals when it is loaded, before main. They would take the place
// of sanitizers, core dumps and our own reports.
void leave_signals_alone() {
  if (set_by_user("ERROR_SIGNALS") || set_by_user("HANDLE_ERRORS")) return;
  for (const int signal : {SIGILL, SIGSEGV, SIGBUS, SIGFPE})
    ucs_debug_disable_signal(signal);
  check(ucs_global_opts_set_value("HANDLE_ERRORS", "none"), "ucs_global_opts_set_value");
}

void apply(const Family& family, ucp_config_t* config) {
  for (const auto& [name, value] : family.settings) {
    const auto is_set = [&, what = name](const auto& prefix) { return set_by_user(prefix + what); };
    if (std::any_of(family.prefixes.begin(), family.prefixes.end(), is_set)) continue;
    check(ucp_config_modify(config, (family.prefix + name).c_str(), value.c_str()),
          "ucp_config_modify");
  }
}

Config read_config() {
  // MM is the common name of posix and sysv, and ucp_config_modify() knows them by no other. Long
  // messages go through the receiver's queue of 16 segments, which fits into a core's cache. Every
  // segment costs a round trip of a cache line between the cores, 0.1 to 0.5 us, so UCX's 8 KiB are
  // short.
  const Family shared_memory{.transports = {"shm", "sm", "mm", "posix", "sysv"},
                             .prefixes = {"POSIX_", "SYSV_", "MM_"},
                             .prefix = "MM_",
                             .settings = {{"ERROR_HANDLING", "y"},
                                          {"SEG_SIZE", "60K"},
                                          {"FIFO_SIZE", "16"},
                                          {"RX_BUFS_GROW", "32"}}};
  // One system call takes no more than a segment out of a socket; half a MiB and more falls out of the
  // cache.
  const Family tcp{.transports = {"tcp"},
                   .prefixes = {"TCP_"},
                   .prefix = "",
                   .settings = {{"RX_SEG_SIZE", "256K"}, {"TX_SEG_SIZE", "64K"}}};
  ucp_config_t* handle = nullptr;
  check(ucp_config_read(nullptr, nullptr, &handle), "ucp_config_read");
  Config config(handle);
  for (const auto& family : {shared_memory, tcp}) {
    if (may_be_used(family)) apply(family, handle);
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

UcxContext::UcxContext() : impl_(std::make_shared<Impl>(ucx::open_context())) {}

bool UcxContext::is_crowded() const noexcept {
  return impl_->is_crowded.load();
}

}  // namespace fulgur
