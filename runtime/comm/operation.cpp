#include "runtime/comm/operation.hpp"

namespace fulgur {

std::string_view to_string(OperationKind kind) noexcept {
  switch (kind) {
    case OperationKind::kAllReduce:
      return "all_reduce";
    case OperationKind::kAllGather:
      return "all_gather";
    case OperationKind::kReduceScatter:
      return "reduce_scatter";
    case OperationKind::kAllToAll:
      return "all_to_all";
    case OperationKind::kBroadcast:
      return "broadcast";
    case OperationKind::kSend:
      return "send";
    case OperationKind::kRecv:
      return "recv";
    case OperationKind::kBarrier:
      return "barrier";
  }
  return "operation";
}

std::string describe(const Operation& operation, std::string_view group) {
  std::string text{to_string(operation.kind)};
  text += " #" + std::to_string(operation.number);
  if (!operation.what.empty()) text += " (" + operation.what + ")";
  text += " of group ";
  text += group;
  return text;
}

}  // namespace fulgur
