#include "cluster/launch/local.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

namespace fulgur {

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0)
    throw std::system_error(errno, std::generic_category(), "sched_getaffinity");
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(static_cast<std::size_t>(core), &set)) cores.push_back(core);
  }
  return cores;
}

std::vector<std::vector<int>> deal_cores(std::span<const int> cores, int ranks) {
  if (cores.empty() || ranks < 1)
    throw std::invalid_argument("deal_cores: expected at least one core and one rank");
  const auto num_ranks = static_cast<std::size_t>(ranks);
  std::vector<std::vector<int>> dealt(num_ranks);
  for (std::size_t rank = 0; rank < num_ranks; ++rank) {
    const auto begin = rank * cores.size() / num_ranks;
    const auto end = std::max(begin + 1, (rank + 1) * cores.size() / num_ranks);
    dealt[rank].assign(cores.begin() + static_cast<std::ptrdiff_t>(begin),
                       cores.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return dealt;
}

std::filesystem::path find_worker_program() {
  std::filesystem::path program;
  if (const char* named = std::getenv("FULGUR_WORKER"); named != nullptr && *named != '\0')
    program = std::filesystem::absolute(named);
  else
    program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "fulgur-worker";
  std::error_code error;
  if (!std::filesystem::is_regular_file(program, error)) {
    throw LaunchError(fmt::format(
        "{}: there is no worker program (it lies beside fulgur, or where FULGUR_WORKER says)",
        program.string()));
  }
  return program;
}

namespace {

// OpenBLAS 0.3.21 does not know AMD's processors with AVX-512 and takes AVX2 kernels there, which are
// half as fast. It reads this variable when it is loaded, so a worker cannot set it for itself.
bool should_name_openblas_core() {
  return std::getenv("OPENBLAS_CORETYPE") == nullptr && __builtin_cpu_is("amd") &&
         __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

}  // namespace

ProcessSpec worker_process(const std::filesystem::path& program, const WorkerSet& workers,
                           const NodePart& part, int rank, std::span<const int> cores) {
  ProcessSpec spec;
  spec.program = program;
  spec.cores.assign(cores.begin(), cores.end());
  spec.secret = workers.secret;
  const auto rank_text = std::to_string(rank);
  const auto local_rank = std::to_string(rank - part.first_rank);
  const auto world = std::to_string(workers.world);
  const auto local_world = std::to_string(part.ranks);
  const auto threads = std::to_string(std::max<std::size_t>(cores.size(), 1));
  const auto port = std::to_string(workers.port);
  spec.environment = {{"RANK", rank_text},
                      {"LOCAL_RANK", local_rank},
                      {"ROLE_RANK", rank_text},
                      {"GROUP_RANK", std::to_string(part.node)},
                      {"WORLD_SIZE", world},
                      {"LOCAL_WORLD_SIZE", local_world},
                      {"ROLE_WORLD_SIZE", world},
                      {"GROUP_WORLD_SIZE", std::to_string(part.nodes)},
                      {"MASTER_ADDR", part.address},
                      {"MASTER_PORT", port},
                      {"TORCHELASTIC_RESTART_COUNT", std::to_string(workers.attempt - 1)},
                      {"TORCHELASTIC_MAX_RESTARTS", "0"},
                      {"TORCHELASTIC_RUN_ID", workers.run_id},
                      {"FULGUR_RANK", rank_text},
                      {"FULGUR_LOCAL_RANK", local_rank},
                      {"FULGUR_LOCAL_WORLD", local_world},
                      {"FULGUR_COORDINATOR_ADDRESS", part.address},
                      {"FULGUR_COORDINATOR_PORT", port},
                      {"FULGUR_RUN_ID", workers.run_id},
                      {"FULGUR_ATTEMPT", std::to_string(workers.attempt)},
                      {"FULGUR_CPU_THREADS", threads},
                      {"OPENBLAS_NUM_THREADS", threads},
                      {"OMP_NUM_THREADS", threads}};
  if (should_name_openblas_core()) spec.environment["OPENBLAS_CORETYPE"] = "SkylakeX";
  for (const auto& each : workers.environment) {
    const auto equals = each.find('=');
    if (equals != std::string::npos)
      spec.environment[each.substr(0, equals)] = each.substr(equals + 1);
  }
  return spec;
}

}  // namespace fulgur
