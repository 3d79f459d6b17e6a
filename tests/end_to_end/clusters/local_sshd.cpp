#include "tests/end_to_end/clusters/local_sshd.hpp"

#include <fstream>

#include "tests/end_to_end/clusters/daemon.hpp"
#include "tests/support/processes.hpp"

namespace fulgur::test {

namespace fs = std::filesystem;

LocalSshd::LocalSshd() {
  stay_on_one_core();
  const auto& home = folder_.path();
  const int port = free_port();
  for (const auto* key : {"host", "user"}) {
    must_run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", (home / key).string()}, home);
  }
  write_files(port);
  fs::create_directories("/run/sshd");  // which sshd wants, and a machine without its service lacks
  sshd_ =
      start_daemon({"/usr/sbin/sshd", "-D", "-e", "-f", (home / "sshd_config").string()}, home, {});
  Outcome outcome;
  const bool up = eventually(
      [&] {
        outcome = Program({"ssh", "-F", (home / "config").string(), "h1", "true"}, home).wait();
        return outcome.exit_code == 0;
      },
      std::chrono::seconds(20));
  if (!up) throw std::runtime_error("sshd does not come up: " + outcome.errors + sshd_->errors());
}

void LocalSshd::write_files(int port) {
  const auto home = folder_.path().string();
  fs::copy_file(home + "/user.pub", home + "/authorized");
  std::ofstream(home + "/sshd_config") << "Port " << port << "\nListenAddress 127.0.0.1\nHostKey "
                                       << home << "/host\nAuthorizedKeysFile " << home
                                       << "/authorized\nPidFile none\nStrictModes no\nUsePAM no\n"
                                       << "PasswordAuthentication no\nPermitRootLogin yes\n"
                                       << "MaxStartups 100\n";
  const auto key = read_text(home + "/host.pub");
  std::ofstream(home + "/known") << "[127.0.0.1]:" << port << " " << key;
  std::ofstream(home + "/none");
  std::ofstream config(home + "/config");
  config << "Host stranger\n  UserKnownHostsFile " << home << "/none\n"
         << "Host *\n  HostName 127.0.0.1\n  Port " << port << "\n  IdentityFile " << home
         << "/user\n  IdentitiesOnly yes\n  UserKnownHostsFile " << home
         << "/known\n  GlobalKnownHostsFile /dev/null\n";
}

}  // namespace fulgur::test
