#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cluster/launch/node_launcher.hpp"
#include "recipes/hosts.hpp"

namespace fulgur {

// The command of an agent, `fulgur agent`, on a node where fulgur lies at the same path as here. When
// FULGUR_CONTAINER names an image, it is run in it by Apptainer.
std::vector<std::string> agent_command(const std::filesystem::path& fulgur);

// This program's own file.
std::filesystem::path this_program();

// Where a program lies that PATH leads to. Throws LaunchError.
std::filesystem::path find_program(const std::string& name);

// ssh to a host, to start the agent of a node there. Only hosts whose key is known are reached, and nothing is
// asked for. A connection without an answer ends within 20 s, and the host's workers with it. The
// file that FULGUR_SSH_CONFIG names is used in place of the user's ssh configuration.
Starter ssh_starter(const std::string& host, int node, const std::filesystem::path& ssh,
                    const std::vector<std::string>& agent);

}  // namespace fulgur
