#include "cluster/launch/ssh.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "cluster/launch/shell.hpp"

namespace fulgur {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::filesystem::path this_program() {
  return std::filesystem::read_symlink("/proc/self/exe");
}

std::vector<std::string> agent_command(const std::filesystem::path& fulgur) {
  const auto image = variable("FULGUR_CONTAINER");
  if (image.empty()) return {fulgur.string(), "agent"};
  return {"apptainer", "exec", "--nv", std::filesystem::absolute(image).string(),
          "fulgur",    "agent"};
}

std::filesystem::path find_program(const std::string& name) {
  std::istringstream folders(variable("PATH"));
  for (std::string folder; std::getline(folders, folder, ':');) {
    auto path = std::filesystem::path(folder.empty() ? "." : folder) / name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  throw LaunchError(fmt::format("{}: not found in PATH ({})", name, variable("PATH")));
}

Starter ssh_starter(const std::string& host, int node, const std::filesystem::path& ssh,
                    const std::vector<std::string>& agent) {
  Starter starter;
  starter.name = "ssh to " + host;
  starter.nodes = {node};
  starter.process.program = ssh;
  auto& arguments = starter.process.arguments;
  const auto config = variable("FULGUR_SSH_CONFIG");
  if (!config.empty()) arguments = {"-F", config};
  static const std::vector<std::string> kOptions = {
      "BatchMode=yes",           "StrictHostKeyChecking=yes",
      "UpdateHostKeys=no",       "ConnectTimeout=10",
      "ServerAliveInterval=5",   "ServerAliveCountMax=3",
      "ClearAllForwardings=yes", "ForwardAgent=no",
      "ForwardX11=no",           "PermitLocalCommand=no",
      "ControlMaster=no",        "ControlPath=none",
      "EscapeChar=none",         "LogLevel=ERROR"};
  for (const auto& option : kOptions) {
    arguments.insert(arguments.end(), {"-o", option});
  }
  arguments.insert(arguments.end(), {"-T", "--", host, "exec " + shell_command(agent)});
  return starter;
}

}  // namespace fulgur
