#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "cluster/launch/node_launcher.hpp"
#include "cluster/launch/output_lines.hpp"
#include "cluster/launch/slurm.hpp"
#include "cluster/launch/ssh.hpp"

using namespace fulgur;

namespace {

bool has(const Starter& starter, const std::string& argument) {
  const auto& all = starter.process.arguments;
  return std::find(all.begin(), all.end(), argument) != all.end();
}

}  // namespace

TEST_SUITE("cluster/launch/starters") {
  TEST_CASE("ssh asks nothing, trusts only known keys, and its host can be no option") {
    const auto starter = ssh_starter("-oProxyCommand=evil", 2, "/usr/bin/ssh", {"/opt/f", "agent"});
    CHECK(has(starter, "StrictHostKeyChecking=yes"));
    CHECK(has(starter, "BatchMode=yes"));
    CHECK(starter.nodes == std::vector{2});
    const auto& all = starter.process.arguments;
    REQUIRE(all.size() > 3);
    CHECK(all[all.size() - 3] == "--");
    CHECK(all[all.size() - 2] == "-oProxyCommand=evil");
    CHECK(all.back() == "exec /opt/f agent");
  }

  TEST_CASE("the shell on the other side sees a path as one word") {
    const auto starter = ssh_starter("h", 0, "/usr/bin/ssh", {"/o'p t/$f", "agent"});
    CHECK(starter.process.arguments.back() == "exec '/o'\\''p t/$f' agent");
  }

  TEST_CASE("srun starts one agent a node, beside others, and leaves the excluded nodes out") {
    const auto starter = srun_starter(3, {"n4", "n7"}, "/usr/bin/srun", {"/opt/f", "agent"});
    CHECK(starter.nodes == std::vector{0, 1, 2});
    CHECK_FALSE(starter.tells_node);
    for (const auto* option : {"--nodes=3", "--ntasks=3", "--ntasks-per-node=1", "--overlap",
                               "--kill-on-bad-exit=0", "--wait=0", "--exclude=n4,n7"})
      CHECK(has(starter, option));
    CHECK(starter.process.arguments.back() == "agent");
  }

  TEST_CASE("the nodes of an allocation are counted one by one") {
    using Names = std::vector<std::string>;
    CHECK(expand_node_list("gpu[01-03,7],login,r[9-10]n0") ==
          Names{"gpu01", "gpu02", "gpu03", "gpu7", "login", "r9n0", "r10n0"});
    CHECK(expand_node_list("n1") == Names{"n1"});
    CHECK(expand_node_list("").empty());
    CHECK(expand_node_list("n[1-x]") == Names{"n[1-x]"});
  }

  TEST_CASE("an agent runs in the image that the environment names") {
    CHECK(agent_command("/opt/f") == std::vector<std::string>{"/opt/f", "agent"});
    ::setenv("FULGUR_CONTAINER", "/images/f.sif", 1);
    CHECK(agent_command("/opt/f") == std::vector<std::string>{"apptainer", "exec", "--nv",
                                                              "/images/f.sif", "fulgur", "agent"});
    ::unsetenv("FULGUR_CONTAINER");
  }

  TEST_CASE("nodes are filled one behind the other, and too few slots are refused") {
    CHECK(fill_nodes({4, 4}, 8) == std::vector{4, 4});
    CHECK(fill_nodes({4, 2, 8}, 7) == std::vector{4, 2, 1});
    CHECK(fill_nodes({4, 4}, 3) == std::vector{3});
    CHECK_THROWS_WITH_AS(fill_nodes({1, 2}, 4), "4 workers want as many slots; 2 hosts have 3",
                         LaunchError);
  }

  TEST_CASE("output leaves in whole lines, and what is too long or the last in pieces") {
    OutputLines lines;
    CHECK(lines.add("one\ntw") == "one\n");
    CHECK(lines.add("o\nthree") == "two\n");
    CHECK(lines.rest() == "three");
    CHECK(lines.rest().empty());
    CHECK(lines.add(std::string(40000, 'x')).size() == 40000);
  }
}
