#include <doctest/doctest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/comm/ucx.hpp"
#include "tests/contract/host_array.hpp"
#include "tests/support/file_store.hpp"
#include "tests/support/fork_ranks.hpp"
#include "tests/support/run_ranks.hpp"
#include "tests/support/temporary_directory.hpp"

// Ranks that are processes. This process itself never opens UCX, so that it can fork.
namespace {

using fulgur::CommError;
using fulgur::Communicator;
using fulgur::ReduceOp;
using fulgur::Stream;
using fulgur::test::as_tensor;
using fulgur::test::ForkedRanks;

const std::vector<std::string> kTransports{"", "tcp,self"};  // "": all there are

void choose_transport(const std::string& transports) {
  if (!transports.empty()) ::setenv("UCX_TLS", transports.c_str(), 1);
}

struct Process {
  Process(const std::filesystem::path& root, const std::string& transports, int rank, int size,
          std::chrono::milliseconds timeout)
      : store((choose_transport(transports), root)),
        ranks(fulgur::make_ucx_communicator(context, store, {"dp", rank, size, timeout})) {}

  fulgur::test::FileStore store;
  fulgur::UcxContext context;
  std::unique_ptr<Communicator> ranks;
  Stream stream{fulgur::Device::kCpu};
};

void expect(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error("expected " + what);
}

// all_reduce of `count` ones, until it throws or `rounds` have gone well.
void reduce_rounds(Process& process, std::size_t count, int rounds) {
  std::vector<float> values(count);
  for (int round = 0; round < rounds; ++round) {
    std::fill(values.begin(), values.end(), 1.0F);
    process.ranks->all_reduce(as_tensor(values), as_tensor(values), ReduceOp::kSum, process.stream,
                              "gradients");
    process.stream.synchronize();
    expect(values.front() == static_cast<float>(process.ranks->size()) &&
               values.back() == values.front(),
           "the sum");
  }
}

// What a survivor sees when rank 2 goes silent.
void check_survivor(Process& process, std::size_t count, bool silent_only) {
  try {
    reduce_rounds(process, count, 1'000'000);
  } catch (const CommError& error) {
    const std::string message = error.what();
    if (silent_only) expect(error.kind() == CommError::Kind::kTimeout, "kTimeout: " + message);
    expect(error.kind() == CommError::Kind::kPeerLost || error.kind() == CommError::Kind::kTimeout,
           "kPeerLost or kTimeout: " + message);
    expect(message.find("all_reduce #") != std::string::npos, "the operation: " + message);
    expect(message.find("of group dp") != std::string::npos, "the group: " + message);
    return;
  }
  throw std::runtime_error("expected a CommError");
}

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  expect(::sched_getaffinity(0, sizeof(set), &set) == 0, "the cores of this process");
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(static_cast<std::size_t>(core), &set)) cores.push_back(core);
  }
  return cores;
}

void pin_to(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(core), &set);
  expect(::sched_setaffinity(0, sizeof(set), &set) == 0, "to be pinned to a core");
}

struct Pipe {
  Pipe() {
    if (::pipe(ends.data()) != 0) throw std::runtime_error("pipe");
  }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  void signal() const {
    if (::write(ends[1], "x", 1) != 1) throw std::runtime_error("write to a pipe");
  }
  void wait() const {
    char letter = 0;
    if (::read(ends[0], &letter, 1) != 1) throw std::runtime_error("read from a pipe");
  }

  std::array<int, 2> ends{};
};

}  // namespace

TEST_SUITE("runtime/comm/ucx_process") {
  TEST_CASE("ranks that are processes reduce together and leave one by one") {
    for (const auto& transports : kTransports) {
      CAPTURE(transports);
      const fulgur::test::TemporaryDirectory directory;
      ForkedRanks ranks(4, [&](int rank) {
        Process process(directory.path(), transports, rank, 4, fulgur::test::kGenerous);
        for (const std::size_t count : {1UL, 1000UL, 300'000UL})
          reduce_rounds(process, count, 20);
        process.ranks->barrier(process.stream);
        process.stream.synchronize();
      });
      for (int rank = 0; rank < 4; ++rank)
        CHECK(ranks.wait(rank) == 0);
    }
  }

  TEST_CASE("a rank killed in the middle of its work is noticed by all survivors") {
    for (const auto& transports : kTransports) {
      for (const std::size_t count : {1UL, 2'000'000UL}) {
        CAPTURE(transports);
        CAPTURE(count);
        const fulgur::test::TemporaryDirectory directory;
        const Pipe working;
        ForkedRanks ranks(3, [&](int rank) {
          Process process(directory.path(), transports, rank, 3, std::chrono::seconds(10));
          reduce_rounds(process, count, 5);
          if (rank == 2) working.signal();
          check_survivor(process, count, false);
        });
        working.wait();
        ranks.kill(2, SIGKILL);
        CHECK(ranks.wait(2) == -1);
        CHECK(ranks.wait(0) == 0);
        CHECK(ranks.wait(1) == 0);
      }
    }
  }

  TEST_CASE("a rank that is stopped ends in kTimeout on the others") {
    const fulgur::test::TemporaryDirectory directory;
    const Pipe working;
    ForkedRanks ranks(3, [&](int rank) {
      Process process(directory.path(), "", rank, 3, std::chrono::seconds(2));
      reduce_rounds(process, 1000, 5);
      if (rank == 2) working.signal();
      check_survivor(process, 1000, true);
    });
    working.wait();
    ranks.kill(2, SIGSTOP);
    CHECK(ranks.wait(0) == 0);
    CHECK(ranks.wait(1) == 0);
  }

  TEST_CASE("a group of two ranks with a core each knows that other ranks want these cores") {
    const auto cores = usable_cores();
    if (cores.size() < 2) {
      MESSAGE("skipped: there is one core only");
      return;
    }
    const fulgur::test::TemporaryDirectory directory;
    ForkedRanks ranks(4, [&](int rank) {
      pin_to(cores[static_cast<std::size_t>(rank / 2)]);
      fulgur::test::FileStore store(directory.path());
      const fulgur::UcxContext context;
      const std::string name = "pair." + std::to_string(rank % 2);
      const auto pair = fulgur::make_ucx_communicator(context, store,
                                                      {name, rank / 2, 2, fulgur::test::kGenerous});
      expect(!context.is_crowded(), "two ranks on two cores not to be crowded");
      const auto world = fulgur::make_ucx_communicator(context, store,
                                                       {"world", rank, 4, fulgur::test::kGenerous});
      expect(context.is_crowded(), "four ranks on two cores to be crowded");
    });
    for (int rank = 0; rank < 4; ++rank)
      CHECK(ranks.wait(rank) == 0);
  }

  TEST_CASE("a message arrives though its sender does nothing more") {
    for (const auto& transports : kTransports) {
      for (const std::size_t count : {1UL, 3000UL, 500'000UL}) {
        CAPTURE(transports);
        CAPTURE(count);
        const fulgur::test::TemporaryDirectory directory;
        const Pipe arrived;
        ForkedRanks ranks(2, [&](int rank) {
          Process process(directory.path(), transports, rank, 2, std::chrono::seconds(10));
          std::vector<float> values(count, static_cast<float>(rank));
          if (rank == 0) {
            process.ranks->send(as_tensor(values), 1, process.stream);
            process.stream.synchronize();
            arrived.wait();
          } else {
            process.ranks->recv(as_tensor(values), 0, process.stream);
            process.stream.synchronize();
            expect(values.back() == 0.0F, "the message of rank 0");
            arrived.signal();
          }
        });
        CHECK(ranks.wait(1) == 0);
        CHECK(ranks.wait(0) == 0);
      }
    }
  }
}
