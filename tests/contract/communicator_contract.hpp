#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <limits>
#include <string>
#include <thread>

#include "tests/contract/arguments_contract.hpp"
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

inline void check_results(const MakeGroup& make_group) {
  for (const int size : {1, 2, 3, 4, 8}) {
    CAPTURE(size);
    Group group = make_group("test", size, kGenerous);
    run_ranks(group, [](Communicator& ranks, Stream& stream) {
      for (const std::int64_t count : {0, 1, 7, 997, 65537})
        check_every_collective<float>(ranks, stream, count);
      check_every_collective<double>(ranks, stream, 331);
      check_every_collective<std::int32_t>(ranks, stream, 331);
      check_every_collective<std::int64_t>(ranks, stream, 331);
      check_all_gather<std::uint8_t>(ranks, stream, 333);
      check_all_to_all_v<std::uint16_t>(ranks, stream, 333);
      check_broadcast<std::uint16_t>(ranks, stream, 333);
      check_send_recv<std::uint8_t>(ranks, stream, 333);
    });
  }
}

inline void check_large_results(const MakeGroup& make_group) {
  for (const int size : {2, 3, 4}) {
    CAPTURE(size);
    Group group = make_group("test", size, kGenerous);
    run_ranks(group, [](Communicator& ranks, Stream& stream) {
      check_every_collective<float>(ranks, stream, kLarge + 3);
    });
  }
}

inline void check_bits(const MakeGroup& make_group) {
  for (const int size : {2, 3, 8}) {
    CAPTURE(size);
    Group group = make_group("test", size, kGenerous);
    run_ranks(group, [](Communicator& ranks, Stream& stream) {
      for (const std::int64_t count : {8, 1009, 300007})
        check_rank_order<float>(ranks, stream, count);
      check_rank_order<double>(ranks, stream, 1009);
    });
  }
}

inline void check_nan(const MakeGroup& make_group) {
  Group group = make_group("test", 3, kGenerous);
  run_ranks(group, [](Communicator& ranks, Stream& stream) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax}) {
      for (int bad = 0; bad < 3; ++bad) {
        std::vector<float> value{ranks.rank() == bad ? std::numeric_limits<float>::quiet_NaN() : 1};
        ranks.all_reduce(as_tensor(value), as_tensor(value), op, stream);
        stream.synchronize();
        CHECK(value[0] != value[0]);
      }
    }
  });
}

// No rank's stream passes barrier k before all ranks have counted it.
inline void check_barrier(const MakeGroup& make_group) {
  for (const int size : {1, 2, 3, 8}) {
    CAPTURE(size);
    Group group = make_group("test", size, kGenerous);
    std::atomic<int> reached = 0;
    run_ranks(group, [&](Communicator& ranks, Stream& stream) {
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
inline void check_order(const MakeGroup& make_group) {
  Group group = make_group("test", 3, kGenerous);
  run_ranks(group, [](Communicator& ranks, Stream& stream) {
    Stream second(Device::kCpu);
    std::vector<double> value{1.0};
    for (int k = 0; k < 50; ++k) {
      Stream& turn = (k + ranks.rank()) % 2 == 0 ? stream : second;
      ranks.all_reduce(as_tensor(value), as_tensor(value),
                       k % 5 == 0 ? ReduceOp::kSum : ReduceOp::kMax, turn,
                       "turn " + std::to_string(k));
    }
    stream.synchronize();
    second.synchronize();
    CHECK(value[0] == 59049.0);  // 3^10
  });
}

inline void check_two_communicators(const MakeGroup& make_group) {
  constexpr int kSize = 3;
  Group one = make_group("one", kSize, kGenerous);
  Group two = make_group("two", kSize, kGenerous);
  const auto work = [](Group& group) {
    run_ranks(group, [](Communicator& ranks, Stream& stream) {
      for (int k = 0; k < 20; ++k) {
        check_all_reduce<float>(ranks, stream, 1 + k * 3001);
        check_all_to_all_v<float>(ranks, stream, 1 + k * 301);
      }
    });
  };
  std::thread other([&] { work(two); });
  work(one);
  other.join();
}

inline void run(const MakeGroup& make_group) {
  SUBCASE("every operation gives what its header says") {
    check_results(make_group);
  }
  SUBCASE("every operation moves a million elements") {
    check_large_results(make_group);
  }
  SUBCASE("sums are in rank order to the last bit") {
    check_bits(make_group);
  }
  SUBCASE("a NaN of any rank reaches all ranks") {
    check_nan(make_group);
  }
  SUBCASE("no rank passes a barrier before all have reached it") {
    check_barrier(make_group);
  }
  SUBCASE("operations on two streams run in call order") {
    check_order(make_group);
  }
  SUBCASE("two communicators work at the same time") {
    check_two_communicators(make_group);
  }
  SUBCASE("a wrong argument is refused by name and harms nothing") {
    check_arguments(make_group);
  }
  SUBCASE("recv from a silent peer ends in kTimeout") {
    check_silent_peer(make_group);
  }
  SUBCASE("a collective that a rank does not enter ends in kTimeout") {
    check_missing_rank(make_group);
  }
  SUBCASE("abort unblocks pending and later operations") {
    check_abort(make_group);
  }
  SUBCASE("a rank that leaves does not hang the others") {
    check_leaving(make_group);
  }
  SUBCASE("destroying a communicator aborts what is queued") {
    check_destruction(make_group);
  }
  SUBCASE("counts that do not fit together are an error, not a result") {
    check_mismatch(make_group);
  }
}

}  // namespace fulgur::test
