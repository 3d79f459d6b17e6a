// NCCL collectives between processes of this host, one for each GPU, from 1 KiB to 256 MiB a rank.
//
//   fulgur_nccl_bench [RANKS [FILE]]      as many ranks as said, 2 if nothing is; JSON to FILE
//
// "call" is what the host needs to queue an operation, "time" is one operation among many queued
// ones, in microseconds, both medians of rounds; "GB/s" is what a rank sends by the cost stated in
// communicator.hpp, over "time".
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/devices.hpp"
#include "kernels/memory.hpp"
#include "runtime/comm/nccl.hpp"
#include "tests/support/file_store.hpp"
#include "tests/support/fork_ranks.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Bench {
  std::unique_ptr<Communicator> ranks;
  Stream& stream;
  Tensor a, b;  // of equal count

  Tensor part(const Tensor& whole) const {
    return whole.slice(0, 0, whole.count() / ranks->size());
  }
};

struct Case {
  const char* name;
  std::function<void(Bench&)> move;
  double sent_per_byte;
};

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

std::vector<Case> cases(int size) {
  const double others = static_cast<double>(size - 1) / size;
  return {{"all_reduce", [](Bench& x) { x.ranks->all_reduce(x.a, x.b, ReduceOp::kSum, x.stream); },
           2 * others},
          {"all_gather", [](Bench& x) { x.ranks->all_gather(x.part(x.a), x.b, x.stream); }, others},
          {"reduce_scatter", [](Bench& x) { x.ranks->reduce_scatter(x.a, x.part(x.b), x.stream); },
           others},
          {"all_to_all",
           [](Bench& x) {
             const std::vector<std::int64_t> counts(static_cast<std::size_t>(x.ranks->size()),
                                                    x.a.count() / x.ranks->size());
             x.ranks->all_to_all_v(x.a, counts, x.b, counts, x.stream);
           },
           others},
          {"ping_pong",
           [](Bench& x) {
             if (x.ranks->rank() == 0) x.ranks->send(x.a, 1, x.stream);
             if (x.ranks->rank() == 1) x.ranks->recv(x.b, 0, x.stream);
             if (x.ranks->rank() == 1) x.ranks->send(x.a, 0, x.stream);
             if (x.ranks->rank() == 0) x.ranks->recv(x.b, 1, x.stream);
           },
           2},
          {"barrier", [](Bench& x) { x.ranks->barrier(x.stream); }, 0}};
}

std::string measure(Bench& bench, const Case& one) {
  constexpr int kRounds = 7;
  constexpr int kCalls = 20;
  std::vector<double> calls;
  std::vector<double> times;
  for (int round = -2; round < kRounds; ++round) {
    bench.ranks->barrier(bench.stream);
    bench.stream.synchronize();
    const auto begin = Clock::now();
    for (int call = 0; call < kCalls; ++call)
      one.move(bench);
    const auto queued = Clock::now();
    bench.stream.synchronize();
    if (round < 0) continue;
    calls.push_back(microseconds(queued - begin) / kCalls);
    times.push_back(microseconds(Clock::now() - begin) / kCalls);
  }
  const auto bytes = static_cast<double>(bench.a.bytes());
  char line[256];
  std::snprintf(line, sizeof(line),
                R"({"name": "%s", "bytes": %.0f, "call_us": %.2f, "time_us": %.2f, "GB/s": %.2f})",
                one.name, bytes, median(calls), median(times),
                bytes * one.sent_per_byte / median(times) / 1e3);
  return line;
}

void run_rank(int rank, int size, const std::filesystem::path& root, const std::string& file) {
  use_cuda_device(rank);
  FileStore store(root);
  Stream stream(Device::kCuda);
  const std::size_t most = std::size_t{256} << 20;
  const Buffer a(Device::kCuda, most);
  const Buffer b(Device::kCuda, most);
  Bench bench{make_nccl_communicator(store, {"bench", rank, size, std::chrono::minutes(1)}),
              stream,
              {},
              {}};
  std::string lines;
  for (const auto& one : cases(size)) {
    for (std::size_t bytes = 1024; bytes <= most; bytes *= 8) {
      const Shape dims{static_cast<std::int64_t>(bytes / sizeof(float)) / size * size};
      bench.a = Tensor::contiguous(a.data(), DType::kFloat32, dims);
      bench.b = Tensor::contiguous(b.data(), DType::kFloat32, dims);
      lines += (lines.empty() ? "" : ",\n") + measure(bench, one);
    }
  }
  if (rank != 0) return;
  std::printf("%s\n", lines.c_str());
  if (!file.empty()) std::ofstream(file) << "[\n" << lines << "\n]\n";
  std::fflush(nullptr);
}

}  // namespace
}  // namespace fulgur::test

int main(int argc, char** argv) try {
  const int size = argc > 1 ? std::stoi(argv[1]) : 2;
  const std::string file = argc > 2 ? argv[2] : "";
  const fulgur::test::TemporaryDirectory directory;
  fulgur::test::ForkedRanks ranks(
      size, [&](int rank) { fulgur::test::run_rank(rank, size, directory.path(), file); });
  int worst = 0;
  for (int rank = 0; rank < size; ++rank)
    worst = std::max(worst, std::abs(ranks.wait(rank)));
  return worst;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
