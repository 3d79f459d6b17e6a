#include "runtime/comm/ucx_report.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace fulgur;

using Names = std::vector<std::string>;

TEST_SUITE("runtime/comm/ucx_report") {
  TEST_CASE("transports are the resources of a context, each once") {
    CHECK(transports_in("# UCP context\n"
                        "#            md 1  :  component 1  tcp \n"
                        "#      resource 0  :  md 0  dev 0  flags -- self/memory0\n"
                        "#      resource 1  :  md 1  dev 1  flags -- tcp/eth0\n"
                        "#      resource 2  :  md 1  dev 1  flags -- tcp/eth0\n") ==
          Names{"self/memory0", "tcp/eth0"});
    CHECK(transports_in("").empty());
  }

  TEST_CASE("lanes lose the numbers of their resource and path, and nothing else") {
    CHECK(lanes_in("#               peer: <no debug data>\n"
                   "#    lane[0]:  3:sysv/memory.0 md[2]  -> md[2]/sysv/sysdev[255] am am_bw#0\n"
                   "#    lane[1]:  7:rc_mlx5/mlx5_0:1.1 md[4] -> md[4]/ib rma_bw#0\n"
                   "#    lane[2]:  8:tcp/eth0.100.0 md[1] -> md[1]/tcp\n"
                   "#    tag_send: 0..<egr/short>..93\n") ==
          Names{"sysv/memory", "rc_mlx5/mlx5_0:1", "tcp/eth0.100"});
    CHECK(lanes_in("# nothing\n").empty());
  }

  TEST_CASE("two workers of this machine have a lane, over a transport that the context has") {
    const auto found = report(UcxContext());
    REQUIRE_FALSE(found.transports.empty());
    REQUIRE_FALSE(found.lanes.empty());
    for (const auto& lane : found.lanes) {
      CAPTURE(lane);
      CHECK(std::count(found.transports.begin(), found.transports.end(), lane) == 1);
    }
    CHECK(ucx_version().find('.') != std::string::npos);
  }
}
