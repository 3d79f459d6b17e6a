#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kernels/devices.hpp"
#include "runtime/comm/nccl.hpp"
#include "tests/contract/host_array.hpp"
#include "tests/support/file_store.hpp"
#include "tests/support/fork_ranks.hpp"
#include "tests/support/temporary_directory.hpp"

// Ranks that are processes, each with a GPU of its own. This process itself never opens CUDA, so
// that it can fork.
namespace {

using fulgur::CommError;
using fulgur::Communicator;
using fulgur::Device;
using fulgur::ReduceOp;
using fulgur::Stream;
using fulgur::test::Array;
using fulgur::test::ForkedRanks;

// Asks a process that ends at once.
bool has_two_gpus() {
  if (!fulgur::has_nccl()) return false;
  ForkedRanks asked(1, [](int) { ::_exit(fulgur::num_cuda_devices()); });
  return asked.wait(0) >= 2;
}

struct Process {
  Process(const std::filesystem::path& root, int rank, std::chrono::milliseconds timeout)
      : store(root), stream((fulgur::test::enter(Device::kCuda, rank), Device::kCuda)) {
    ranks = fulgur::make_nccl_communicator(store, {"dp", rank, 2, timeout});
  }

  fulgur::test::FileStore store;
  Stream stream;
  std::unique_ptr<Communicator> ranks;
};

void expect(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error("expected " + what);
}

// Doubles `values` until it throws or `rounds` have gone well.
void reduce_rounds(Process& process, std::int64_t count, int rounds) {
  Array<double> values(process.stream, count, 1.0);
  double expected = 1.0;
  for (int round = 0; round < rounds; ++round) {
    process.ranks->all_reduce(values.tensor(), values.tensor(), ReduceOp::kSum, process.stream,
                              "gradients");
    process.stream.synchronize();
    expected *= 2.0;
  }
  const auto result = values.values();
  expect(result.front() == expected && result.back() == expected, "the sum");
}

}  // namespace

TEST_SUITE("runtime/comm/nccl_process" * doctest::skip(!has_two_gpus())) {
  TEST_CASE("ranks that are processes reduce together and leave one by one") {
    const fulgur::test::TemporaryDirectory directory;
    ForkedRanks ranks(2, [&](int rank) {
      Process process(directory.path(), rank, std::chrono::seconds(30));
      for (const std::int64_t count : {1, 1000, 3'000'000})
        reduce_rounds(process, count, 20);
      process.ranks->barrier(process.stream);
      process.stream.synchronize();
    });
    CHECK(ranks.wait(0) == 0);
    CHECK(ranks.wait(1) == 0);
  }

  TEST_CASE("a message arrives though its sender has gone when it is received") {
    for (const std::int64_t count : {1, 3000, 5'000'000}) {
      CAPTURE(count);
      const fulgur::test::TemporaryDirectory directory;
      ForkedRanks ranks(2, [&](int rank) {
        Process process(directory.path(), rank, std::chrono::seconds(30));
        Array<float> values(process.stream, count, static_cast<float>(rank + 7));
        if (rank == 0) {
          process.ranks->send(values.tensor(), 1, process.stream);
          process.stream.synchronize();
          process.ranks.reset();
        } else {
          std::this_thread::sleep_for(std::chrono::milliseconds(300));
          process.ranks->recv(values.tensor(), 0, process.stream);
          process.stream.synchronize();
          expect(values.values().back() == 7.0F, "the message of rank 0");
        }
      });
      CHECK(ranks.wait(1) == 0);
      CHECK(ranks.wait(0) == 0);
    }
  }

  TEST_CASE(
      "a rank that is killed or stopped in the middle of its work ends the wait of the other") {
    for (const int signal : {SIGKILL, SIGSTOP}) {
      CAPTURE(signal);
      const fulgur::test::TemporaryDirectory directory;
      ForkedRanks ranks(2, [&](int rank) {
        Process process(directory.path(), rank, std::chrono::seconds(8));
        reduce_rounds(process, 1000, 5);
        if (rank == 1) process.store.set("working", "yes");
        try {
          for (;;)
            reduce_rounds(process, 1000, 1);
        } catch (const CommError& error) {
          const std::string message = error.what();
          expect(error.kind() == CommError::Kind::kPeerLost ||
                     error.kind() == CommError::Kind::kTransport ||
                     error.kind() == CommError::Kind::kTimeout,
                 "an error of the transport: " + message);
          expect(message.find("all_reduce #") != std::string::npos, "the operation: " + message);
        }
      });
      fulgur::test::FileStore store(directory.path());
      store.get("working", std::chrono::seconds(30));
      ranks.kill(1, signal);
      CHECK(ranks.wait(0) == 0);
    }
  }
}
