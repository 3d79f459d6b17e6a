#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <limits>
#include <string>
#include <thread>

#include "tests/contract/arguments_contract.hpp"
#include "tests/contract/backend.hpp"
#include "tests/contract/collectives_contract.hpp"
#include "tests/contract/failure_contract.hpp"
#include "tests/support/run_ranks.hpp"

// The sentences of runtime/comm/communicator.hpp as tests. Each backend calls run() from a test
// case.
namespace fulgur::test {

inline constexpr std::int64_t kLarge = std::int64_t{1} << 20;  // elements

template <class T>
void check_every_collective(Communicator& ranks, Stream& stream, std::int64_t count) {
  check_all_reduce<T>(ranks, stream, count);
  check_all_gather<T>(ranks, stream, count);
  check_all_gather_v<T>(ranks, stream, uneven(ranks.size(), count, 1));
  if constexpr (std::is_floating_point_v<T>) {
    check_reduce_scatter_v<T>(ranks, stream, uneven(ranks.size(), count, 2));
    check_reduce_scatter_v<T>(ranks, stream, Counts(static_cast<std::size_t>(ranks.size()), count),
                              true);
  }
  check_all_to_all_v<T>(ranks, stream, count);
  check_broadcast<T>(ranks, stream, count);
  check_send_recv<T>(ranks, stream, count);
}

inline void check_results(const Backend& backend) {
  for (const int size : backend.sizes({1, 2, 3, 4, 8})) {
    CAPTURE(size);
    backend.run_ranks(size, [](Communicator& ranks, Stream& stream) {
      for (const std::int64_t count : {0, 1, 7, 997, 65537})
        check_every_collective<float>(ranks, stream, count);
      check_every_collective<double>(ranks, stream, 331);
      check_every_collective<std::int32_t>(ranks, stream, 331);
      check_every_collective<std::int64_t>(ranks, stream, 331);
      check_reduce_scatter_bfloat16(ranks, stream, 333);
      check_all_gather<std::uint8_t>(ranks, stream, 333);
      check_all_to_all_v<std::uint16_t>(ranks, stream, 333);
      check_broadcast<std::uint16_t>(ranks, stream, 333);
      check_send_recv<std::uint8_t>(ranks, stream, 333);
    });
  }
}

inline void check_large_results(const Backend& backend) {
  for (const int size : backend.sizes({2, 3, 4})) {
    CAPTURE(size);
    backend.run_ranks(size, [](Communicator& ranks, Stream& stream) {
      check_every_collective<float>(ranks, stream, kLarge + 3);
    });
  }
}

inline void check_bits(const Backend& backend) {
  for (const int size : backend.sizes({2, 3, 8})) {
    CAPTURE(size);
    backend.run_ranks(size, [&](Communicator& ranks, Stream& stream) {
      for (const std::int64_t count : {8, 1009, 300007}) {
        check_same_bits<float>(ranks, stream, count);
        if (backend.sums_in_rank_order) check_rank_order<float>(ranks, stream, count);
      }
      check_same_bits<double>(ranks, stream, 1009);
      if (backend.sums_in_rank_order) check_rank_order<double>(ranks, stream, 1009);
    });
  }
}

template <class T>
void check_nan_of(Communicator& ranks, Stream& stream, int bad) {
  for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax}) {
    constexpr auto kNan = std::numeric_limits<T>::quiet_NaN();
    Array<T> values(stream, std::vector<T>{ranks.rank() == bad ? kNan : T{1}, T(ranks.rank() - 5)});
    ranks.all_reduce(values.tensor(), values.tensor(), op, stream);
    stream.synchronize();
    const auto result = values.values();
    CHECK(result[0] != result[0]);
    if (op == ReduceOp::kMax) CHECK(result[1] == T(ranks.size() - 6));
  }
}

inline void check_nan(const Backend& backend) {
  const int size = backend.at_most(3);
  backend.run_ranks(size, [&](Communicator& ranks, Stream& stream) {
    for (int bad = 0; bad < size; ++bad) {
      check_nan_of<float>(ranks, stream, bad);
      check_nan_of<double>(ranks, stream, bad);
    }
  });
}

// No rank's stream passes barrier k before all ranks have counted it.
inline void check_barrier(const Backend& backend) {
  for (const int size : backend.sizes({1, 2, 3, 8})) {
    CAPTURE(size);
    std::atomic<int> reached = 0;
    backend.run_ranks(size, [&](Communicator& ranks, Stream& stream) {
      for (int k = 1; k <= 20; ++k) {
        stream.run([&] { ++reached; });
        ranks.barrier(stream, "round");
        stream.run([&, k, all = ranks.size()] { CHECK(reached.load() >= k * all); });
      }
    });
    CHECK(reached == 20 * size);
  }
}

// 50 operations are queued before the first is waited for, on two streams by turns.
inline void check_order(const Backend& backend) {
  backend.run_ranks(backend.at_most(3), [&](Communicator& ranks, Stream& stream) {
    Stream second(backend.device);
    Array<double> value(stream, std::vector<double>{1.0});
    second.wait(stream.record());
    double expected = 1.0;
    for (int k = 0; k < 50; ++k) {
      Stream& turn = (k + ranks.rank()) % 2 == 0 ? stream : second;
      const auto op = k % 5 == 0 ? ReduceOp::kSum : ReduceOp::kMax;
      ranks.all_reduce(value.tensor(), value.tensor(), op, turn, "turn " + std::to_string(k));
      if (op == ReduceOp::kSum) expected *= ranks.size();
    }
    stream.synchronize();
    second.synchronize();
    CHECK(value.values().front() == expected);
  });
}

// Memory is taken and given back only at the ends: on a GPU that may wait for all its work.
inline void work_of_two(Communicator& ranks, Stream& stream) {
  constexpr std::int64_t kMost = 60000;
  Array<float> in(stream, brought_by<float>(ranks.rank(), kMost));
  Array<float> out(stream, kMost);
  std::vector<std::vector<float>> inputs;
  for (int r = 0; r < ranks.size(); ++r)
    inputs.push_back(brought_by<float>(r, kMost));
  const auto expected = folded(inputs, ReduceOp::kSum);
  for (int k = 0; k < 20; ++k) {
    const std::int64_t count = 1 + k * 3001;
    ranks.all_reduce(in.tensor().slice(0, 0, count), out.tensor().slice(0, 0, count),
                     ReduceOp::kSum, stream);
    const Counts counts(static_cast<std::size_t>(ranks.size()), kMost / ranks.size());
    ranks.all_to_all_v(in.tensor(), counts, out.tensor(), counts, stream);
    ranks.all_reduce(in.tensor(), out.tensor(), ReduceOp::kSum, stream);
    stream.synchronize();
    CHECK(first_difference(out.values(), expected) == -1);
  }
}

inline void check_two_communicators(const Backend& backend) {
  const int size = backend.at_most(3);
  Group one = backend.make_group("one", size, kGenerous);
  Group two = backend.make_group("two", size, kGenerous);
  std::thread other([&] { backend.run_ranks(two, work_of_two); });
  backend.run_ranks(one, work_of_two);
  other.join();
}

inline void run(const Backend& backend) {
  SUBCASE("every operation gives what its header says") {
    check_results(backend);
  }
  SUBCASE("every operation moves a million elements") {
    check_large_results(backend);
  }
  SUBCASE("sums are the same bits everywhere, and those of rank order where that is promised") {
    check_bits(backend);
  }
  SUBCASE("a NaN of any rank reaches all ranks") {
    check_nan(backend);
  }
  SUBCASE("no rank passes a barrier before all have reached it") {
    check_barrier(backend);
  }
  SUBCASE("operations on two streams run in call order") {
    check_order(backend);
  }
  SUBCASE("two communicators work at the same time") {
    check_two_communicators(backend);
  }
  SUBCASE("a wrong argument is refused by name and harms nothing") {
    check_arguments(backend);
  }
  SUBCASE("recv from a silent peer ends in kTimeout") {
    check_silent_peer(backend);
  }
  SUBCASE("a collective that a rank does not enter ends in kTimeout") {
    check_missing_rank(backend);
  }
  SUBCASE("abort unblocks pending and later operations") {
    check_abort(backend);
  }
  SUBCASE("a rank that leaves does not hang the others") {
    check_leaving(backend);
  }
  SUBCASE("destroying a communicator aborts what is queued") {
    check_destruction(backend);
  }
  SUBCASE("counts that do not fit together are an error, not a result") {
    check_mismatch(backend);
  }
}

}  // namespace fulgur::test
