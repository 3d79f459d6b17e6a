#include "cluster/launch/invitation.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <map>

#include "cluster/wire/text.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace fulgur;

namespace {

Invitation some_invitation() {
  return {.address = "10.0.0.7",
          .port = 4711,
          .run_id = "abc",
          .secret = std::string(32, '\xf7'),
          .node = 3,
          .nodes = 5};
}

std::string refusal(const std::string& line) {
  try {
    parse_invitation(line);
  } catch (const InvitationError& error) {
    return error.what();
  }
  return "it was taken";
}

using Values = std::map<std::string, std::string>;

// Variables of the environment for the time of a test.
class Variables {
 public:
  explicit Variables(Values values) : values_(std::move(values)) {
    for (const auto& [name, value] : values_)
      ::setenv(name.c_str(), value.c_str(), 1);
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;
  ~Variables() {
    for (const auto& [name, value] : values_)
      ::unsetenv(name.c_str());
  }

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace

TEST_SUITE("cluster/launch/invitation") {
  TEST_CASE("an invitation survives its line, and what follows the line is left alone") {
    const auto invitation = some_invitation();
    CHECK(parse_invitation(to_line(invitation)) == invitation);
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const auto text = to_line(invitation) + "more";
    REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    CHECK(read_invitation(ends[0]) == invitation);
    std::array<char, 16> rest{};
    CHECK(::read(ends[0], rest.data(), rest.size()) == 4);
    ::close(ends[0]);
    ::close(ends[1]);
  }

  TEST_CASE("what is no invitation is refused, and no message has the secret") {
    const auto good = to_line(some_invitation());
    const auto secret = to_hex(some_invitation().secret);
    CHECK(refusal("") != "it was taken");
    CHECK(refusal("{}") != "it was taken");
    for (const auto* word : {"address", "port", "run_id", "secret", "node", "nodes"}) {
      CAPTURE(word);
      auto bad = good;
      bad[bad.find(word)] = 'X';
      CHECK(refusal(bad) != "it was taken");
      CHECK(refusal(bad).find(secret) == std::string::npos);
    }
    auto short_secret = good;
    short_secret.erase(short_secret.find(secret), 2);
    CHECK(refusal(short_secret).find("31 bytes") != std::string::npos);
  }

  TEST_CASE("the environment says which node it is and where it was started from") {
    Invitation invitation = some_invitation();
    invitation.node = -1;
    invitation.address.clear();
    SUBCASE("over ssh") {
      invitation.node = 2;
      const Variables variables(Values{{"SSH_CONNECTION", "192.168.1.2 50000 192.168.1.3 22"}});
      complete(invitation);
      CHECK(invitation.address == "192.168.1.2");
      CHECK(invitation.node == 2);
    }
    SUBCASE("under Slurm") {
      const Variables variables({{"SLURM_NODEID", "4"}, {"SLURM_LAUNCH_NODE_IPADDR", "10.1.1.1"}});
      complete(invitation);
      CHECK(invitation.address == "10.1.1.1");
      CHECK(invitation.node == 4);
    }
    SUBCASE("nowhere") {
      CHECK_THROWS_AS(complete(invitation), InvitationError);
    }
  }

  TEST_CASE("a secret file that others may read is refused") {
    const test::TemporaryDirectory folder;
    const auto path = (folder.path() / "secret").string();
    std::ofstream(path) << std::string(64, 'a') << "\n";
    const Variables variables(Values{{"FULGUR_SECRET_FILE", path}});
    REQUIRE(::chmod(path.c_str(), 0640) == 0);
    CHECK_THROWS_AS(read_secret_file(), InvitationError);
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
    CHECK(read_secret_file() == std::string(32, '\xaa'));
    std::ofstream(path) << "a";
    CHECK_THROWS_AS(read_secret_file(), InvitationError);
  }
}
