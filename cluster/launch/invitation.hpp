#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fulgur {

// What the agent of a node is told when it is started: how it gets to its launcher. It stands in one line
// of JSON on the agent's stdin, never in its arguments or its environment, because of the secret.
struct Invitation {
  std::string
      address;  // of the launcher; empty: the one that ssh or Slurm say they were started from
  std::uint16_t port = 0;
  std::string run_id;
  std::string secret;  // of the run
  int node = -1;       // -1: the one that Slurm says
  int nodes = 1;

  friend bool operator==(const Invitation&, const Invitation&) = default;
};

// The invitation is missing or makes no sense. The message never has the secret.
class InvitationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One line of JSON, with its line end.
std::string to_line(const Invitation& invitation);

// The inverse. Throws InvitationError.
Invitation parse_invitation(std::string_view line);

// Reads one line from a descriptor. Throws InvitationError.
Invitation read_invitation(int fd);

// The secret in the file that FULGUR_SECRET_FILE names: 64 hexadecimal digits, readable by nobody but its
// owner. Throws InvitationError.
std::string read_secret_file();

// The invitation of a pod, all from the environment: FULGUR_COORDINATOR_ADDRESS, FULGUR_COORDINATOR_PORT,
// FULGUR_RUN_ID, FULGUR_NODE, FULGUR_NODES, FULGUR_SECRET_FILE. Throws InvitationError.
Invitation invitation_from_environment();

// Fills in what the environment knows better: the node that SLURM_NODEID says, and the address of the
// launcher, from SSH_CONNECTION or SLURM_LAUNCH_NODE_IPADDR. Throws InvitationError when they are missing.
void complete(Invitation& invitation);

}  // namespace fulgur
