// Compiled instead of the folder nccl when FULGUR_WITH_CUDA is off or there is no NCCL.
#include <stdexcept>

#include "runtime/comm/nccl.hpp"

namespace fulgur {

bool has_nccl() noexcept {
  return false;
}

std::string nccl_version() {
  return {};
}

std::unique_ptr<Communicator> make_nccl_communicator(Store& /*store*/, const Membership& self) {
  throw std::runtime_error("communicator of group " + self.group + ": built without NCCL");
}

}  // namespace fulgur
