#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "kernels/devices.hpp"
#include "kernels/memory.hpp"
#include "runtime/comm/staged.hpp"
#include "runtime/comm/ucx.hpp"
#include "tests/contract/host_array.hpp"
#include "tests/support/file_store.hpp"
#include "tests/support/fork_ranks.hpp"
#include "tests/support/temporary_directory.hpp"

// Ranks that are processes and share the GPUs that there are. This process itself never opens CUDA, so
// that it can fork.
namespace {

using namespace fulgur;
using fulgur::test::Array;
using fulgur::test::ForkedRanks;

// Asks a process that ends at once.
bool has_gpu() {
  ForkedRanks asked(1, [](int) { ::_exit(num_cuda_devices()); });
  return asked.wait(0) > 0;
}

// One rank of two. Rank 1 comes to every exchange late, so that rank 0 frees memory, which waits for the
// GPU, while the GPU waits for the exchange.
void exchange_and_free(const std::filesystem::path& root, int rank) {
  constexpr int kRounds = 5;
  constexpr std::int64_t kCount = 100000;
  test::enter(Device::kCuda, rank);
  test::FileStore store(root);
  const UcxContext context;
  const auto ranks = make_staged_communicator(
      make_ucx_communicator(context, store, {"dp", rank, 2, std::chrono::seconds(30)}));
  Stream stream(Device::kCuda);
  Array<float> values(stream, kCount, 1.0F);
  for (int round = 0; round < kRounds; ++round) {
    if (rank == 1) std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ranks->all_reduce(values.tensor(), values.tensor(), ReduceOp::kSum, stream);
    const Buffer freed_at_once(Device::kCuda, std::size_t{1} << 20);
  }
  stream.synchronize();
  if (values.values().back() != 32.0F) throw std::runtime_error("expected the sum 2^5");
}

}  // namespace

TEST_SUITE("runtime/comm/staged_process" * doctest::skip(!has_gpu())) {
  TEST_CASE("an exchange goes on while its caller waits for the GPU") {
    const test::TemporaryDirectory directory;
    ForkedRanks ranks(2, [&](int rank) { exchange_and_free(directory.path(), rank); });
    CHECK(ranks.wait(0) == 0);
    CHECK(ranks.wait(1) == 0);
  }
}
