#pragma once

#include "cluster/wire/messages.hpp"
#include "runtime/comm/flight_recorder.hpp"

namespace fulgur {

// Where a rank stands among its peers, as its flight recorder knows: the collective it is in, the latest that
// it has entered of every group, and its time outside of all.
void fill_position(Heartbeat& beat, const FlightRecorder& recorder);

}  // namespace fulgur
