#include "runtime/comm/nccl.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "kernels/devices.hpp"
#include "runtime/comm/flight_recorder.hpp"
#include "runtime/comm/memory_store.hpp"
#include "tests/contract/communicator_contract.hpp"

namespace {

using fulgur::CommError;
using fulgur::Device;
using fulgur::FlightRecorder;
using fulgur::MemoryStore;
using fulgur::ReduceOp;
using fulgur::Stream;
using fulgur::test::Array;
using fulgur::test::Group;

// Ranks are threads, each with a GPU of its own.
Group make_nccl_group(const std::string& name, int size, std::chrono::milliseconds timeout) {
  MemoryStore store;
  return fulgur::test::make_on_threads(size, Device::kCuda, [&](int rank) {
    return fulgur::make_nccl_communicator(store, {name, rank, size, timeout});
  });
}

bool has_gpus(int count) {
  return fulgur::has_nccl() && fulgur::num_cuda_devices() >= count;
}

}  // namespace

TEST_SUITE("runtime/comm/nccl") {
  TEST_CASE("the NCCL backend keeps the contract of a communicator, less what its header says" *
            doctest::skip(!has_gpus(2))) {
    fulgur::test::run({.make_group = make_nccl_group,
                       .device = Device::kCuda,
                       .patience = std::chrono::seconds(6),
                       .most_ranks = fulgur::num_cuda_devices(),
                       .sums_in_rank_order = fulgur::num_cuda_devices() == 2,
                       .names_missing_rank = false,
                       .notices_mismatch = false});
  }

  TEST_CASE("a rank that never comes is named when the group is made" *
            doctest::skip(!has_gpus(2))) {
    MemoryStore store;
    try {
      fulgur::make_nccl_communicator(store, {"dp", 0, 2, std::chrono::milliseconds(200)});
      FAIL_CHECK("expected a CommError");
    } catch (const CommError& error) {
      CHECK(error.kind() == CommError::Kind::kTimeout);
      const std::string message = error.what();
      CAPTURE(message);
      CHECK(message.find("dp/nccl/1") != std::string::npos);
    }
  }

  TEST_CASE("a group of one rank needs no other GPU and copies" * doctest::skip(!has_gpus(1))) {
    MemoryStore store;
    const auto ranks = fulgur::make_nccl_communicator(store, {"dp", 0, 1});
    Stream stream(Device::kCuda);
    Array<float> in(stream, std::vector<float>{1, 2, 3});
    Array<float> out(stream, 3);
    ranks->all_reduce(in.tensor(), out.tensor(), ReduceOp::kSum, stream);
    stream.synchronize();
    CHECK(out.values() == std::vector<float>{1, 2, 3});
  }

  TEST_CASE("the flight recorder sees what has ended and what hangs" *
            doctest::skip(!has_gpus(2))) {
    MemoryStore store;
    FlightRecorder recorder;
    Group group = fulgur::test::make_on_threads(2, Device::kCuda, [&](int rank) {
      return fulgur::make_nccl_communicator(
          store, {"dp", rank, 2, fulgur::test::kGenerous, rank == 0 ? &recorder : nullptr});
    });
    fulgur::test::run_ranks(
        group,
        [](fulgur::Communicator& ranks, Stream& stream) {
          ranks.barrier(stream, "together");
          stream.synchronize();
        },
        Device::kCuda);
    fulgur::test::enter(Device::kCuda, 0);
    Stream stream(Device::kCuda);
    group[0]->barrier(stream, "alone");
    const auto is_started = [&] {
      const auto record = recorder.last_unfinished();
      return record && record->number == 2 && record->state == FlightRecorder::State::kStarted;
    };
    while (!is_started())  // the time limit of the test ends a wait that is in vain
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    group[0]->abort();
    CHECK_THROWS_AS(stream.synchronize(), CommError);
    const auto records = recorder.snapshot();
    REQUIRE(records.size() == 2);
    CHECK(records[0].state == FlightRecorder::State::kDone);
    CHECK(records[1].state == FlightRecorder::State::kFailed);
  }

  TEST_CASE("a build without NCCL says so" * doctest::skip(fulgur::has_nccl())) {
    MemoryStore store;
    CHECK_THROWS_WITH_AS(fulgur::make_nccl_communicator(store, {"dp", 0, 2}),
                         "communicator of group dp: built without NCCL", std::runtime_error);
  }
}
