#include "worker/preflight.hpp"

#include <boost/json.hpp>
#include <chrono>
#include <thread>

#include "kernels/devices.hpp"
#include "runtime/comm/link_probe.hpp"
#include "runtime/comm/ucx.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

constexpr int kRounds = 6;  // other nodes that each one tries
constexpr std::chrono::seconds kLimit{20};

json::array links_to_json(const std::vector<LinkMeasured>& links) {
  json::array array;
  for (const auto& link : links) {
    array.push_back({{"node", link.peer},
                     {"latency", link.latency_microseconds},
                     {"bandwidth", link.gigabytes_per_second}});
  }
  return array;
}

}  // namespace

std::string preflight_report(int node, int nodes, Store& store, FlightRecorder& recorder) {
  json::object report{{"node", node},
                      {"gpus", num_cuda_devices()},
                      {"cores", std::thread::hardware_concurrency()},
                      {"links", json::array()}};
  if (nodes > 1) {
    const UcxContext context;
    Membership self;
    self.group = "preflight";
    self.rank = node;
    self.size = nodes;
    self.timeout = kLimit;
    self.recorder = &recorder;
    const auto group = make_ucx_communicator(context, store, self);
    report["links"] = links_to_json(probe_links(*group, kRounds));
  }
  return json::serialize(report);
}

}  // namespace fulgur
