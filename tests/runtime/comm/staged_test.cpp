#include "runtime/comm/staged.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "kernels/devices.hpp"
#include "runtime/comm/local.hpp"
#include "tests/contract/communicator_contract.hpp"

namespace {

using fulgur::Device;
using fulgur::Stream;
using fulgur::test::Array;
using fulgur::test::Group;

constexpr int kRanks = 4;

// All ranks may share one GPU here, and a process: none may hold up the queue of another. Set
// before CUDA is asked for its devices.
bool has_gpu() {
  ::setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 1);
  return fulgur::num_cuda_devices() > 0;
}
const bool kHasGpu = has_gpu();

Group make_staged_group(const std::string& name, int size, std::chrono::milliseconds timeout) {
  auto hosts = fulgur::make_local_group(name, size, timeout);
  Group group;
  for (int rank = 0; rank < size; ++rank) {
    fulgur::test::enter(Device::kCuda, rank);
    group.push_back(
        fulgur::make_staged_communicator(std::move(hosts[static_cast<std::size_t>(rank)])));
  }
  return group;
}

}  // namespace

TEST_SUITE("runtime/comm/staged") {
  TEST_CASE("a host communicator with staging keeps the contract for GPU memory" *
            doctest::skip(!kHasGpu)) {
    fulgur::test::run(
        {.make_group = make_staged_group, .device = Device::kCuda, .most_ranks = kRanks});
  }

  TEST_CASE("the caller goes on while operations wait for the other rank" *
            doctest::skip(!kHasGpu)) {
    Group group = make_staged_group("test", 2, fulgur::test::kGenerous);
    fulgur::test::enter(Device::kCuda, 0);
    Stream stream(Device::kCuda);
    Array<float> value(stream, 1000, 1.0F);
    for (int k = 0; k < 10; ++k)
      group[0]->all_reduce(value.tensor(), value.tensor(), fulgur::ReduceOp::kSum, stream);
    const auto end = stream.record();
    CHECK(!end.has_passed());
    fulgur::test::enter(Device::kCuda, 1);
    Stream other(Device::kCuda);
    Array<float> zero(other, 1000, 0.0F);
    Array<float> sum(other, 1000);
    for (int k = 0; k < 10; ++k) {
      group[1]->all_reduce(zero.tensor(), sum.tensor(), fulgur::ReduceOp::kSum, other);
      other.synchronize();
      CHECK(sum.values().back() == 1.0F);
    }
    stream.synchronize();
    CHECK(value.values().front() == 1.0F);
  }

  TEST_CASE("a build without CUDA says so" * doctest::skip(kHasGpu)) {
    auto hosts = fulgur::make_local_group("dp", 1, fulgur::test::kGenerous);
    CHECK_THROWS_AS(fulgur::make_staged_communicator(std::move(hosts[0])), std::runtime_error);
  }
}
