#include <doctest/doctest.h>

#include <cstdlib>
#include <utility>

#include "kernels/devices.hpp"
#include "runtime/comm/memory_store.hpp"
#include "runtime/comm/nccl.hpp"
#include "runtime/comm/staged.hpp"
#include "tests/runtime/parallel/context/lightning_run.hpp"
#include "tests/runtime/parallel/context/ring_run.hpp"

namespace fulgur {
namespace {

using test::Group;

// All ranks may share one GPU here, and a process: none may hold up the queue of another. Set before
// CUDA is asked for its devices.
bool has_gpu() {
  ::setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 1);
  return num_cuda_devices() > 0;
}
const bool kHasGpu = has_gpu();

// Ranks are threads that share the GPUs; what they exchange goes through the host.
Group staged_group(int size) {
  auto hosts = make_local_group("cp", size, test::kGenerous);
  Group group;
  for (int rank = 0; rank < size; ++rank) {
    test::enter(Device::kCuda, rank);
    group.push_back(make_staged_communicator(std::move(hosts[static_cast<std::size_t>(rank)])));
  }
  return group;
}

// Ranks are threads, each with a GPU of its own.
Group nccl_group(int size) {
  MemoryStore store;
  return test::make_on_threads(size, Device::kCuda, [&](int rank) {
    return make_nccl_communicator(store, {"cp", rank, size, test::kGenerous});
  });
}

}  // namespace

TEST_SUITE("runtime/parallel/context/gpu") {
  TEST_CASE("lightning attention over ranks that share a GPU equals the recurrence" *
            doctest::skip(!kHasGpu)) {
    for (const int cp : {1, 2, 3})
      for (const auto& c : test::context_cases(cp))
        for (const auto how : {LightningContext::kLaspPlus, LightningContext::kLasp}) {
          test::check_against_oracle(c,
                                     test::run_lightning(c, how, staged_group(cp), Device::kCuda));
        }
  }

  TEST_CASE("softmax attention over ranks that share a GPU equals that over whole documents" *
            doctest::skip(!kHasGpu)) {
    for (const int cp : {1, 2, 3})
      for (const auto& c : test::context_cases(cp))
        test::check_against_oracle(c, test::run_ring(c, staged_group(cp), Device::kCuda));
  }

  TEST_CASE("both attentions over GPUs that NCCL joins equal those over whole documents" *
            doctest::skip(!has_nccl() || num_cuda_devices() < 2)) {
    const int cp = std::min(num_cuda_devices(), 4);
    const auto cases = test::context_cases(cp);
    for (const std::size_t i : {std::size_t{1}, std::size_t{10}, cases.size() - 2}) {
      const auto& c = cases.at(i);
      for (const auto how : {LightningContext::kLaspPlus, LightningContext::kLasp})
        test::check_against_oracle(c, test::run_lightning(c, how, nccl_group(cp), Device::kCuda));
      test::check_against_oracle(c, test::run_ring(c, nccl_group(cp), Device::kCuda));
    }
  }
}

}  // namespace fulgur
