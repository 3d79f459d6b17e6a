#include <doctest/doctest.h>

#include <algorithm>

#include "kernels/devices.hpp"
#include "runtime/comm/memory_store.hpp"
#include "runtime/comm/nccl.hpp"
#include "tests/runtime/parallel/context/lightning_run.hpp"
#include "tests/runtime/parallel/context/ring_run.hpp"

namespace fulgur {
namespace {

bool has_gpus(int count) {
  return has_nccl() && num_cuda_devices() >= count;
}

// Ranks are threads, each with a GPU of its own. A group serves for all cases, because NCCL takes
// its time to make one.
void check_all_cases(int cp) {
  MemoryStore store;
  auto group = test::make_on_threads(cp, Device::kCuda, [&](int rank) {
    return make_nccl_communicator(store, {"cp", rank, cp, test::kGenerous});
  });
  for (const auto& c : test::context_cases(cp)) {
    for (const auto how : {LightningContext::kLaspPlus, LightningContext::kLasp})
      test::check_against_oracle(c, test::run_lightning(c, how, group, Device::kCuda));
    test::check_against_oracle(c, test::run_ring(c, group, Device::kCuda));
  }
}

}  // namespace

TEST_SUITE("runtime/parallel/context/gpu") {
  TEST_CASE("both attentions on a GPU equal those over whole documents" *
            doctest::skip(!has_gpus(1))) {
    check_all_cases(1);
  }

  TEST_CASE("both attentions over GPUs that NCCL joins equal those over whole documents" *
            doctest::skip(!has_gpus(2))) {
    for (int cp = 2; cp <= std::min(num_cuda_devices(), 4); ++cp)
      check_all_cases(cp);
  }
}

}  // namespace fulgur
