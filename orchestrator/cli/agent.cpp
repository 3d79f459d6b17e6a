#include "cluster/launch/agent.hpp"

#include <unistd.h>

#include <cstdlib>

#include "orchestrator/cli/commands.hpp"

namespace fulgur {

// ssh and srun bring the invitation on stdin; a pod of Kubernetes has it in its environment.
int run_command(const AgentOptions&) {
  if (std::getenv("FULGUR_SECRET_FILE") != nullptr)
    return run_agent(invitation_from_environment(), -1);
  auto invitation = read_invitation(STDIN_FILENO);
  complete(invitation);
  return run_agent(invitation, STDIN_FILENO);
}

}  // namespace fulgur
