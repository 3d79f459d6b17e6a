#include "cluster/doctor/host_facts.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.hpp"

using namespace fulgur;

namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

}  // namespace

TEST_SUITE("cluster/doctor/host_facts") {
  TEST_CASE("this machine has cores, memory, a loopback interface and a place to write") {
    const test::TemporaryDirectory folder;
    const auto facts = gather_host_facts(folder.path() / "not" / "yet");
    CHECK(facts.cores >= 1);
    CHECK(facts.cores <= facts.cores_online);
    CHECK(facts.memory_bytes > facts.memory_available);
    CHECK(facts.memory_available > 0);
    CHECK(facts.loopback);
    CHECK(facts.runs.path == (folder.path() / "not" / "yet").string());
    CHECK(facts.runs.writable);
    CHECK(facts.runs.free_bytes > 0);
    CHECK(facts.runs.free_bytes <= facts.runs.size_bytes);
    CHECK_FALSE(fs::exists(folder.path() / "not"));  // looking makes nothing
  }

  TEST_CASE("limits are those of this process") {
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit lower = before;
    lower.rlim_cur = 77;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &lower) == 0);
    CHECK(gather_host_facts(".").open_files == 77);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  }

  TEST_CASE("the tightest limit on the way up through the control groups counts") {
    const test::TemporaryDirectory root;
    const auto mount = root.path() / "sys/fs/cgroup";
    write(root.path() / "proc/self/cgroup", "0::/a/b\n");
    write(mount / "a/b/memory.max", "max\n");
    write(mount / "a/b/cpu.max", "400000 100000\n");
    write(mount / "a/memory.max", "1000000\n");
    write(mount / "a/memory.current", "300000\n");
    write(mount / "a/cpu.max", "50000 100000\n");
    write(mount / "memory.max", "9000000\n");
    write(root.path() / "proc/sys/kernel/yama/ptrace_scope", "2\n");
    write(root.path() / "proc/sys/net/ipv4/ip_local_port_range", "10 20\n");
    const auto facts = gather_host_facts(".", root.path());
    CHECK(facts.memory_limit == 1000000);
    CHECK(facts.memory_used == 300000);
    CHECK(facts.cpu_quota == 0.5);
    CHECK(facts.ptrace_scope == 2);
    CHECK(facts.first_port == 10);
    CHECK(facts.last_port == 20);
    CHECK(facts.memory_bytes == kUnknown);  // there is no meminfo
    CHECK_FALSE(facts.has_nvidia_device);
  }

  TEST_CASE("the older control groups count where there is no unified one") {
    const test::TemporaryDirectory root;
    const auto mount = root.path() / "sys/fs/cgroup";
    write(mount / "memory/memory.limit_in_bytes", "5000000\n");
    write(mount / "memory/memory.usage_in_bytes", "4000000\n");
    write(mount / "cpu/cpu.cfs_quota_us", "-1\n");
    write(mount / "cpu/cpu.cfs_period_us", "100000\n");
    auto facts = gather_host_facts(".", root.path());
    CHECK(facts.memory_limit == 5000000);
    CHECK(facts.memory_used == 4000000);
    CHECK(facts.cpu_quota == 0);
    write(mount / "cpu/cpu.cfs_quota_us", "250000\n");
    CHECK(gather_host_facts(".", root.path()).cpu_quota == 2.5);
  }
}
