#include "cluster/launch/memory_group.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/support/temporary_directory.hpp"

using namespace fulgur;

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

}  // namespace

TEST_SUITE("cluster/launch/memory_group") {
  TEST_CASE("limit and peak are read in both versions of control groups") {
    const test::TemporaryDirectory folder;
    const auto proc = folder.path() / "proc", groups = folder.path() / "cgroup";
    write(proc / "vmstat", "nr_free_pages 7\noom_kill 3\n");
    SUBCASE("version 2") {
      write(proc / "self/cgroup", "0::/job\n");
      write(groups / "job/memory.max", "2147483648\n");
      write(groups / "job/memory.peak", "1073741824\n");
    }
    SUBCASE("version 1") {
      write(proc / "self/cgroup", "5:cpu:/job\n4:memory:/job\n0::/\n");
      write(groups / "memory/job/memory.limit_in_bytes", "2147483648\n");
      write(groups / "memory/job/memory.max_usage_in_bytes", "1073741824\n");
    }
    const auto group = read_memory_group(proc, groups);
    CHECK(group.kills == 3);
    CHECK(group.limit == 2147483648);
    CHECK(group.peak == 1073741824);
    CHECK(out_of_memory(group, group).empty());
    CHECK(out_of_memory({.kills = 2}, group) == "for want of memory: limit 2.0 GiB, peak 1.0 GiB");
  }

  TEST_CASE("no limit is no number") {
    const test::TemporaryDirectory folder;
    const auto proc = folder.path() / "proc", groups = folder.path() / "cgroup";
    write(proc / "self/cgroup", "0::/\n");
    write(groups / "memory.max", "max\n");
    CHECK_FALSE(read_memory_group(proc, groups).limit);
    CHECK(out_of_memory({}, {.kills = 1}) == "for want of memory");
  }
}
