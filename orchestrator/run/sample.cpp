#include "orchestrator/run/sample.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "cluster/launch/local.hpp"
#include "cluster/wire/secret.hpp"
#include "cluster/wire/text.hpp"
#include "orchestrator/coordinator/coordinator.hpp"
#include "orchestrator/coordinator/verdict.hpp"

namespace fulgur {

int print_sample(const Job& job, const std::filesystem::path& checkpoint) {
  CoordinatorSetup setup;
  setup.job = job;
  setup.job.layout = {};  // one rank
  setup.task = "generate";
  setup.run_id = to_hex(random_bytes(8));
  setup.program = find_worker_program();
  setup.checkpoint = checkpoint;
  CoordinatorHooks hooks;
  hooks.print = [](const std::string& text) {
    fmt::print("{}", text);
    std::fflush(stdout);
  };
  const auto result = coordinate(setup, hooks);
  fmt::print("\n");
  std::fflush(stdout);
  fmt::print(stderr, "{}", explain(result, {}));
  return result.exit_code;
}

}  // namespace fulgur
