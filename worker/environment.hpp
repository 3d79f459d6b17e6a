#pragma once

#include <cstdint>
#include <string>

namespace fulgur {

// What the launcher tells a worker: by environment variables, and the secret through a pipe.
struct WorkerEnvironment {
  int rank = 0;
  int local_rank = 0;      // among the workers of this node
  int local_world = 1;     // how many they are
  std::string address;     // of the coordinator, in digits
  std::uint16_t port = 0;  // of the coordinator
  std::string run_id;
  int attempt = 1;
  int cpu_threads = 1;
  std::string secret;
};

// Reads them; the pipe of the secret is closed then. Throws std::runtime_error, naming what is missing:
// this process was not started by fulgur.
WorkerEnvironment read_environment();

}  // namespace fulgur
