#pragma once

#include <string>

#include "runtime/comm/flight_recorder.hpp"
#include "runtime/comm/store.hpp"

namespace fulgur {

// What one node finds before a run, as the worker that stands for it: its devices, and over UCX its links to
// others (runtime/comm/link_probe.hpp). Collective over all nodes. Returns JSON:
//
//   {"node":0,"gpus":8,"cores":96,"links":[{"node":1,"latency":12.5,"bandwidth":11.9}]}
//
// with latencies in microseconds and bandwidths in 10^9 bytes per second. Throws CommError.
std::string preflight_report(int node, int nodes, Store& store, FlightRecorder& recorder);

}  // namespace fulgur
