#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/program.hpp"

namespace fulgur::test {

// A port on 127.0.0.1 that nobody listens on.
inline int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  if (!bound) throw std::runtime_error("no free port on 127.0.0.1");
  return ntohs(address.sin_port);
}

// Keeps this process, and all that it starts from now on, on one core: so a worker has one thread wherever it
// runs, and runs that differ in their nodes only have the same bits.
inline void stay_on_one_core() {
  cpu_set_t allowed;
  cpu_set_t one;
  CPU_ZERO(&one);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    throw std::runtime_error("sched_getaffinity");
  int skip = ::getpid() % CPU_COUNT(&allowed);  // tests that run at the same time take others
  for (std::size_t core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++core) {
    if (CPU_ISSET(core, &allowed) && skip-- == 0) CPU_SET(core, &one);
  }
  if (::sched_setaffinity(0, sizeof one, &one) != 0) throw std::runtime_error("sched_setaffinity");
}

// A daemon in the foreground, which the kernel ends should the test die. Throws std::runtime_error when
// there is no such program: `make deps` installs it.
inline std::unique_ptr<Program> start_daemon(
    std::vector<std::string> command, const std::filesystem::path& directory,
    const std::map<std::string, std::string>& environment) {
  if (::access(command.front().c_str(), X_OK) != 0)
    throw std::runtime_error(command.front() + " is not installed: run `make deps`");
  command.insert(command.begin(), {"setpriv", "--pdeathsig", "TERM", "--"});
  return std::make_unique<Program>(std::move(command), directory, environment);
}

// Runs a command to its end, and throws std::runtime_error with what it wrote unless it ends with 0.
inline std::string must_run(std::vector<std::string> command,
                            const std::filesystem::path& directory,
                            const std::map<std::string, std::string>& environment = {}) {
  const auto name = command.front();
  const auto outcome = Program(std::move(command), directory, environment).wait();
  if (outcome.exit_code != 0)
    throw std::runtime_error(name + " failed: " + outcome.output + outcome.errors);
  return outcome.output;
}

}  // namespace fulgur::test
