#pragma once

#include <string>

#include "cluster/wire/messages.hpp"
#include "runtime/comm/flight_recorder.hpp"
#include "worker/control_client.hpp"

namespace fulgur {

// Does what the assignment says, and returns Done or Failed: what to tell the coordinator at the end.
// Throws nothing that a task can throw.
Message run_task(const Assignment& assignment, ControlClient& client, FlightRecorder& recorder);

}  // namespace fulgur
