#pragma once

#include <string>

#include "cluster/wire/handshake.hpp"

namespace fulgur {

// What launcher and agents say in their handshake, so that no worker passes for an agent: it is no
// attempt of the run.
Session agent_session(const std::string& run_id);

// How this node is called: as Slurm does, else its host name.
std::string node_name();

}  // namespace fulgur
