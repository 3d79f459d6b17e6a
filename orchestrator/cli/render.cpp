#include <fmt/format.h>

#include "cluster/exit_codes.hpp"
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/submit/jobset.hpp"
#include "recipes/dsl/load.hpp"
#include "recipes/layout.hpp"

namespace fulgur {

// The data need not be here: it lies in the cluster's volume.
int run_command(const RenderOptions& options) {
  auto overrides = options.overrides;
  overrides.emplace_back("cluster.kind=kubernetes");
  const auto job = load_recipe(options.recipe, overrides, DataFiles::kLeave).job;
  JobSetRequest request;
  request.job = job;
  request.image = options.image;
  request.claim = options.claim;
  request.secret = kubernetes_name(job.name) + "-secret";
  request.restarts = static_cast<int>(options.restarts);
  request.arguments = {options.recipe.string()};
  request.arguments.insert(request.arguments.end(), overrides.begin(), overrides.end());
  if (job.device != DeviceKind::kCpu)
    request.gpus_per_node = static_cast<int>(world_size(job.layout) / job.cluster.nodes);
  fmt::print("{}", jobset(request));
  return kExitDone;
}

}  // namespace fulgur
