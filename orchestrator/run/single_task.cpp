#include "orchestrator/run/single_task.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "cluster/wire/secret.hpp"
#include "cluster/wire/text.hpp"
#include "orchestrator/coordinator/coordinator.hpp"
#include "orchestrator/coordinator/verdict.hpp"
#include "orchestrator/run/launching.hpp"

namespace fulgur {

int run_single_task(const SingleTask& task) {
  bool printed = false;
  const auto exit_code = run_single_task(task, [&printed](const std::string& text) {
    printed = true;
    fmt::print("{}", text);
    std::fflush(stdout);
  });
  if (printed) fmt::print("\n");
  std::fflush(stdout);
  return exit_code;
}

int run_single_task(const SingleTask& task, const std::function<void(const std::string&)>& take) {
  CoordinatorSetup setup;
  setup.job = task.job;
  setup.job.layout = {};
  setup.task = task.task;
  setup.run_id = to_hex(random_bytes(8));
  setup.launcher = launch_locally(setup.job.cluster.environment);
  setup.checkpoint = task.checkpoint;
  setup.source = task.source;
  setup.destination = task.destination;
  CoordinatorHooks hooks;
  hooks.print = take;
  const auto result = coordinate(setup, hooks);
  fmt::print(stderr, "{}", explain(result, {}));
  return result.exit_code;
}

}  // namespace fulgur
