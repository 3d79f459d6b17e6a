#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/comm/ucx.hpp"

namespace fulgur {

// Ways to move data, each as "<transport>/<device>": "posix/memory", "tcp/eth0".
struct UcxReport {
  std::vector<std::string> transports;  // that the context may use
  std::vector<std::string> lanes;       // that it takes between two processes of this machine
};

// "1.13.1"
std::string ucx_version();

// Makes an endpoint as communicators make them, between two workers of this process, and asks UCX.
// Throws CommError::Kind::kTransport when there is none.
UcxReport report(const UcxContext& context);

// What UCX prints of a context or an endpoint is the only way to ask: its lines "resource 1 : ... --
// tcp/eth0" and "lane[0]: 3:sysv/memory.0 ...". No name comes twice.
std::vector<std::string> transports_in(std::string_view context_text);
std::vector<std::string> lanes_in(std::string_view endpoint_text);

}  // namespace fulgur
