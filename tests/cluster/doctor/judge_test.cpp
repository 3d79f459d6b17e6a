#include "cluster/doctor/judge.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

using namespace fulgur;

namespace {

using Verdict = Observation::Verdict;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

// A machine on which everything is well, without a GPU.
HostFacts good_host() {
  HostFacts host;
  host.cores = host.cores_online = 8;
  host.memory_bytes = 32 * kGiB;
  host.memory_available = 16 * kGiB;
  host.shared_memory = {"/dev/shm", true, 8 * kGiB, 16 * kGiB};
  host.temporary = {"/tmp", true, 50 * kGiB, 100 * kGiB};
  host.runs = {"/home/a/runs", true, 50 * kGiB, 100 * kGiB};
  host.open_files = 65536;
  host.locked_memory = 8 << 20;
  host.processes = kUnlimited;
  host.core_file = 0;
  host.ptrace_scope = 1;
  host.first_port = 32768;
  host.last_port = 60999;
  host.loopback = true;
  host.clock_source = "tsc";
  host.clock_synchronised = true;
  return host;
}

LibraryFacts good_libraries() {
  LibraryFacts libraries;
  libraries.ucx = "1.13.1";
  libraries.ucx_transports = {"self/memory0", "tcp/lo", "tcp/eth0", "posix/memory"};
  libraries.ucx_lanes = {"posix/memory"};
  libraries.hdf5 = "1.10.8";
  libraries.blas = "OpenBLAS 0.3.21";
  return libraries;
}

HostFacts gpu_host() {
  auto host = good_host();
  host.has_nvidia_device = true;
  host.nvidia_driver = "580.1";
  return host;
}

LibraryFacts gpu_libraries() {
  auto libraries = good_libraries();
  libraries.cuda = true;
  libraries.cuda_runtime = libraries.cuda_driver = 13000;
  libraries.nccl = "2.28.3";
  libraries.gpus = {{"NVIDIA H200", 140 * kGiB, 9, 0, ""}, {"NVIDIA H200", 140 * kGiB, 9, 0, ""}};
  return libraries;
}

Observation find(const std::vector<Observation>& all, const std::string& topic) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Observation& each) { return each.topic == topic; });
  CAPTURE(topic);
  REQUIRE(found != all.end());
  return *found;
}

void check(const HostFacts& host, const LibraryFacts& libraries, const std::string& topic,
           Verdict verdict) {
  CAPTURE(topic);
  const auto all = judge(host, libraries);
  const auto observation = find(all, topic);
  CHECK(observation.verdict == verdict);
  CHECK(observation.advice.empty() == (verdict == Verdict::kOk));
  CHECK(can_run(all) == (verdict != Verdict::kMissing));
}

// The verdict on a machine that is well but for what `spoil` changes.
template <class Spoil>
void check_host(const std::string& topic, Verdict verdict, const Spoil& spoil) {
  auto host = good_host();
  spoil(host);
  check(host, good_libraries(), topic, verdict);
}

}  // namespace

TEST_SUITE("cluster/doctor/judge") {
  TEST_CASE("where all is well every line is ok and gives no advice") {
    for (const auto& all :
         {judge(good_host(), good_libraries()), judge(gpu_host(), gpu_libraries())}) {
      for (const auto& each : all) {
        CAPTURE(each.topic);
        CHECK(each.verdict == Verdict::kOk);
        CHECK(each.advice.empty());
        CHECK_FALSE(each.found.empty());
      }
      CHECK(can_run(all));
    }
  }

  TEST_CASE("a worker that gives no answer is missing, and the machine is judged all the same") {
    const auto all = judge(good_host(), std::nullopt);
    CHECK(all.front().verdict == Verdict::kMissing);
    CHECK_FALSE(can_run(all));
    CHECK(find(all, "cores").verdict == Verdict::kOk);
  }

  TEST_CASE("a GPU that is not used is told with the reason") {
    check(gpu_host(), good_libraries(), "GPUs", Verdict::kWarn);
    auto hidden = gpu_libraries();
    hidden.gpus.clear();
    hidden.cuda_problem = "no CUDA-capable device is detected";
    check(gpu_host(), hidden, "GPUs", Verdict::kWarn);
    CHECK(find(judge(gpu_host(), hidden), "GPUs").found.find(hidden.cuda_problem) !=
          std::string::npos);
    check(good_host(), hidden, "GPUs", Verdict::kOk);
    auto old_gpu = gpu_libraries();
    old_gpu.gpus[1] = {"Tesla V100", 16 * kGiB, 7, 0, "no kernel image is available"};
    check(gpu_host(), old_gpu, "GPU 1", Verdict::kWarn);
    CHECK(find(judge(gpu_host(), old_gpu), "GPU 1").advice.find("ARCHITECTURES=70") !=
          std::string::npos);
    CHECK(find(judge(gpu_host(), old_gpu), "GPU 0").verdict == Verdict::kOk);
  }

  TEST_CASE("a driver older than the toolkit, and several GPUs without NCCL, are warned of") {
    auto libraries = gpu_libraries();
    libraries.cuda_driver = 12080;
    check(gpu_host(), libraries, "CUDA", Verdict::kWarn);
    libraries.cuda_driver = 13010;
    libraries.nccl.clear();
    check(gpu_host(), libraries, "CUDA", Verdict::kOk);
    check(gpu_host(), libraries, "NCCL", Verdict::kWarn);
    libraries.gpus.resize(1);
    check(gpu_host(), libraries, "NCCL", Verdict::kOk);
  }

  TEST_CASE("UCX must lead to other processes, and should over shared memory") {
    auto libraries = good_libraries();
    libraries.ucx_transports = {"self/memory0"};
    check(good_host(), libraries, "UCX transports", Verdict::kMissing);
    libraries.ucx_transports = {"self/memory0", "tcp/lo"};
    check(good_host(), libraries, "UCX transports", Verdict::kWarn);
    libraries = good_libraries();
    libraries.ucx_lanes = {"tcp/lo"};
    check(good_host(), libraries, "UCX lanes", Verdict::kWarn);
    libraries.ucx_lanes.clear();
    check(good_host(), libraries, "UCX lanes", Verdict::kMissing);
    libraries = good_libraries();
    libraries.ucx_problem = "ucp_init: No such device";
    check(good_host(), libraries, "UCX", Verdict::kMissing);
  }

  TEST_CASE("InfiniBand wants locked memory, and cma the right to copy; else both are no matter") {
    auto libraries = good_libraries();
    libraries.ucx_transports.emplace_back("rc_mlx5/mlx5_0:1");
    check(good_host(), libraries, "locked memory", Verdict::kWarn);
    auto host = good_host();
    host.locked_memory = kUnlimited;
    check(host, libraries, "locked memory", Verdict::kOk);
    libraries = good_libraries();
    libraries.ucx_lanes.emplace_back("cma/memory");
    check(good_host(), libraries, "copies between processes", Verdict::kWarn);
    host.may_trace = true;
    check(host, libraries, "copies between processes", Verdict::kOk);
    host.may_trace = false;
    host.ptrace_scope = 0;
    check(host, libraries, "copies between processes", Verdict::kOk);
  }

  TEST_CASE("too few resources are warned of, and none at all is missing") {
    check_host("cores", Verdict::kWarn, [](HostFacts& host) { host.cpu_quota = 1.5; });
    check_host("cores", Verdict::kOk, [](HostFacts& host) { host.cpu_quota = 8; });
    check_host("memory", Verdict::kWarn, [](HostFacts& host) { host.memory_available = kGiB; });
    check_host("memory", Verdict::kMissing, [](HostFacts& host) {
      host.memory_limit = 4 * kGiB;
      host.memory_used = 4 * kGiB - 1000;
    });
    check_host("/dev/shm", Verdict::kWarn,
               [](HostFacts& host) { host.shared_memory.free_bytes = 1 << 20; });
    check_host("/dev/shm", Verdict::kWarn,
               [](HostFacts& host) { host.shared_memory.writable = false; });
    check_host("run directories", Verdict::kWarn,
               [](HostFacts& host) { host.runs.free_bytes = kGiB; });
    check_host("run directories", Verdict::kMissing,
               [](HostFacts& host) { host.runs.free_bytes = 1000; });
    check_host("run directories", Verdict::kMissing,
               [](HostFacts& host) { host.runs.writable = false; });
    check_host("TMPDIR", Verdict::kWarn, [](HostFacts& host) { host.temporary.free_bytes = 0; });
  }

  TEST_CASE("limits, ports and clocks are judged by what runs need of them") {
    check_host("open files", Verdict::kWarn, [](HostFacts& host) { host.open_files = 512; });
    check_host("open files", Verdict::kMissing, [](HostFacts& host) { host.open_files = 64; });
    check_host("processes", Verdict::kWarn, [](HostFacts& host) { host.processes = 100; });
    check_host("ports", Verdict::kMissing, [](HostFacts& host) { host.loopback = false; });
    check_host("ports", Verdict::kWarn, [](HostFacts& host) { host.last_port = 32770; });
    check_host("clock", Verdict::kWarn, [](HostFacts& host) { host.clock_source = "hpet"; });
    check_host("time", Verdict::kWarn, [](HostFacts& host) { host.clock_synchronised = false; });
  }

  TEST_CASE("what the system does not say is no reason for a complaint") {
    auto host = good_host();
    host.memory_available = host.open_files = host.processes = host.ptrace_scope = kUnknown;
    host.first_port = host.last_port = host.huge_pages = kUnknown;
    host.runs.free_bytes = host.temporary.free_bytes = host.shared_memory.free_bytes = kUnknown;
    host.clock_source.clear();
    for (const auto& each : judge(host, good_libraries())) {
      CAPTURE(each.topic);
      CHECK(each.verdict == Verdict::kOk);
    }
  }

  TEST_CASE("library facts come back from JSON as they were") {
    const auto facts = gpu_libraries();
    const auto back = library_facts_from_json(to_json(facts));
    CHECK(to_json(back) == to_json(facts));
    CHECK(back.gpus.at(1).memory_bytes == 140 * kGiB);
    CHECK(back.ucx_transports == facts.ucx_transports);
    CHECK_THROWS_AS(library_facts_from_json("{}"), std::invalid_argument);
    CHECK_THROWS_AS(library_facts_from_json("nonsense"), std::invalid_argument);
  }
}
