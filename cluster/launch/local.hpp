#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "cluster/launch/child_process.hpp"
#include "cluster/launch/launcher.hpp"

namespace fulgur {

// The cores that this process may use, ascending.
std::vector<int> usable_cores();

// Deals cores to ranks: as evenly as it goes, each rank neighbouring ones. When there are more ranks
// than cores, each rank gets one, and neighbouring ranks share it. Throws std::invalid_argument
// without cores or ranks.
std::vector<std::vector<int>> deal_cores(std::span<const int> cores, int ranks);

// The worker program: what FULGUR_WORKER names, else the one beside this program. Throws LaunchError,
// naming where it looked.
std::filesystem::path find_worker_program();

// The part of a world that runs on one node.
struct NodePart {
  int node = 0;
  int nodes = 1;
  int first_rank = 0;
  int ranks = 1;                      // from first_rank on
  std::string address = "127.0.0.1";  // of the coordinator, as the node sees it
};

// The process of one rank of that part, without streams: its environment has torchrun's names, which
// libraries read, and FULGUR_ names, which fulgur-worker reads.
ProcessSpec worker_process(const std::filesystem::path& program, const WorkerSet& workers,
                           const NodePart& part, int rank, std::span<const int> cores);

// All workers as children of this process. They end when the thread that started them does.
// `environment` is "NAME=value", as in a WorkerSet.
std::unique_ptr<Launcher> make_local_launcher(const boost::asio::any_io_executor& executor,
                                              std::filesystem::path program,
                                              std::vector<std::string> environment);

}  // namespace fulgur
