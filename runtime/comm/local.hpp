#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "runtime/comm/communicator.hpp"

namespace fulgur {

// A group whose ranks are threads of this process: the reference backend, and the one most tests
// use. Element r of the result is for rank r. Each rank has a stream of its own: an operation
// blocks its stream until the other ranks have entered it too.
//
// The ranks read each other's tensors; only sends are copied, so a send never waits. A rank whose
// communicator is aborted or destroyed is lost to the others at once (kPeerLost).
std::vector<std::unique_ptr<Communicator>> make_local_group(const std::string& name, int size,
                                                            std::chrono::milliseconds timeout,
                                                            FlightRecorder* recorder = nullptr);

}  // namespace fulgur
