#pragma once

#include <memory>
#include <string>

#include "runtime/comm/communicator.hpp"

namespace fulgur {

// The communicator of a group of one rank, on any device: it copies in to out, and needs no transport.
std::unique_ptr<Communicator> make_solo_communicator(const std::string& name, Device device);

}  // namespace fulgur
