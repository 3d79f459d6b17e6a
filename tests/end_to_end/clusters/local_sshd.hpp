#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur::test {

// An sshd on 127.0.0.1 with keys of its own, and an ssh configuration by which the hosts h1 and h2 lead to
// it; `stranger` does too, but its key is not known. The test is kept on one core.
class LocalSshd {
 public:
  // Throws std::runtime_error, with what sshd wrote, when it cannot be reached.
  LocalSshd();
  LocalSshd(const LocalSshd&) = delete;
  LocalSshd& operator=(const LocalSshd&) = delete;

  // What fulgur needs in its environment to find it.
  std::map<std::string, std::string> environment() const {
    return {{"FULGUR_SSH_CONFIG", (folder_.path() / "config").string()}};
  }

 private:
  void write_files(int port);

  TemporaryDirectory folder_;
  std::unique_ptr<Program> sshd_;
};

}  // namespace fulgur::test
