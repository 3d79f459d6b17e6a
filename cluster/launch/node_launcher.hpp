#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/launch/child_process.hpp"
#include "cluster/launch/launcher.hpp"

namespace fulgur {

// A process on this host that starts the agents of some nodes and lives as long as they do: ssh for one
// node, srun for all. It gets the Invitation on its stdin.
struct Starter {
  ProcessSpec process;
  std::string name;        // for messages: "ssh to node-3"
  std::vector<int> nodes;  // whose agents it starts
  bool tells_node = true;  // the invitation names the node; else its environment does
};

// Nodes whose agents come to this launcher (cluster/launch/agent.hpp).
struct NodeLaunch {
  std::vector<int> ranks;  // [nodes] how many workers each has; ranks follow the order of nodes
  // Without starters somebody else starts the agents, and gives them what an Invitation has.
  std::vector<Starter> starters;
  boost::asio::ip::address listen = boost::asio::ip::address_v4::any();
  std::uint16_t port = 0;                // to listen on for agents; 0: any
  std::string address;                   // of this host for agents; empty: they know
  std::chrono::seconds join_limit{60};   // for agents to come
  std::vector<std::string> environment;  // for workers, "NAME=value"
};

// How ranks are dealt to nodes with these slots: each node is filled before the next. Nodes that get none
// are left out. Throws LaunchError when there are not enough slots.
std::vector<int> fill_nodes(const std::vector<int>& slots, int world);

// The variables of this process's environment that workers on other hosts are to have as well: how UCX,
// NCCL and OpenBLAS are set.
std::vector<std::string> environment_for_workers();

std::unique_ptr<Launcher> make_node_launcher(const boost::asio::any_io_executor& executor,
                                             NodeLaunch launch);

}  // namespace fulgur
