#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "cluster/launch/child_process.hpp"

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

// The workers of one attempt on this host.
struct LocalWorkers {
  std::filesystem::path program;
  std::string run_id;
  int attempt = 1;
  int world = 1;
  std::uint16_t port = 0;  // of the coordinator, on 127.0.0.1
  std::string secret;
  std::filesystem::path logs;  // folder for rank-00000.out and .err; empty: inherited streams
};

// <logs>/rank-00003.err
std::filesystem::path log_file(const std::filesystem::path& logs, int rank, const char* suffix);

// The process of one rank: its environment has torchrun's names, which libraries read, and FULGUR_ names,
// which fulgur-worker reads.
ProcessSpec worker_process(const LocalWorkers& workers, int rank, std::span<const int> cores);

}  // namespace fulgur
