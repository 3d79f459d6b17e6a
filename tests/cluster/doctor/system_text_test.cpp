#include "cluster/doctor/system_text.hpp"

#include <doctest/doctest.h>

#include "cluster/doctor/facts.hpp"

using namespace fulgur;
using namespace fulgur::system_text;

TEST_SUITE("cluster/doctor/system_text") {
  TEST_CASE("sizes of /proc/meminfo are bytes, counts are counts") {
    constexpr auto* kText =
        "MemTotal:       24689764 kB\nMemAvailable:    1024 kB\nHugePages_Total:       3\n";
    CHECK(meminfo(kText, "MemTotal") == 24689764 * std::int64_t{1024});
    CHECK(meminfo(kText, "MemAvailable") == 1024 * 1024);
    CHECK(meminfo(kText, "HugePages_Total") == 3);
    CHECK(meminfo(kText, "Mem") == kUnknown);  // a beginning is not the key
    CHECK(meminfo("", "MemTotal") == kUnknown);
  }

  TEST_CASE("a control group without a limit says max, or a number that no machine has") {
    CHECK(byte_limit("max\n") == kUnlimited);
    CHECK(byte_limit("9223372036854771712\n") == kUnlimited);
    CHECK(byte_limit("2147483648\n") == 2147483648);
    CHECK(byte_limit("") == kUnknown);
    CHECK(cpu_quota("150000 100000\n") == 1.5);
    CHECK(cpu_quota("max 100000\n") == 0);
    CHECK(cpu_quota("100 0") == 0);
  }

  TEST_CASE("the unified control group is found among older ones") {
    CHECK(control_group("4:memory:/a\n0::/user.slice/b.scope\n") == "/user.slice/b.scope");
    CHECK(control_group("4:memory:/a\n") == "/");
    CHECK(control_group("") == "/");
  }

  TEST_CASE("settings, ports, drivers and capabilities are read, and nonsense is not") {
    CHECK(chosen("always [madvise] never\n") == "madvise");
    CHECK(chosen("]x[") == "");
    CHECK(port_range("32768\t60999\n") == std::pair<std::int64_t, std::int64_t>(32768, 60999));
    CHECK_FALSE(port_range("32768").has_value());
    CHECK(nvidia_driver("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  "
                        "Release Build\nGCC version: gcc 12.3.0\n") == "580.159.04");
    CHECK(nvidia_driver("") == "");
    CHECK(has_capability("Name:\tx\nCapEff:\t0000000000080000\n", 19));
    CHECK_FALSE(has_capability("CapEff:\t0000000000080000\n", 18));
    CHECK_FALSE(has_capability("CapPrm:\t0000000000080000\n", 19));
    CHECK(number(" 1\n") == 1);
    CHECK_FALSE(number("1 2").has_value());
    CHECK_FALSE(number("1x").has_value());
  }
}
