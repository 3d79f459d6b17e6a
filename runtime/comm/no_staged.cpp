// Compiled instead of the folder staged when FULGUR_WITH_CUDA is off.
#include <stdexcept>

#include "runtime/comm/staged.hpp"

namespace fulgur {

std::unique_ptr<Communicator> make_staged_communicator(std::unique_ptr<Communicator> host) {
  throw std::runtime_error("communicator of group " + host->name() +
                           " for GPU memory: built without CUDA (FULGUR_WITH_CUDA=OFF)");
}

}  // namespace fulgur
