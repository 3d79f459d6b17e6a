#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "tests/contract/collectives_contract.hpp"
#include "tests/support/run_ranks.hpp"

namespace fulgur::test {

inline constexpr std::chrono::milliseconds kShort{300};

// The CommError that the stream ends in, or nothing.
inline std::optional<CommError> error_of(Stream& stream) {
  try {
    stream.synchronize();
  } catch (const CommError& error) {
    return error;
  }
  return std::nullopt;
}

inline void check_error(Stream& stream, CommError::Kind kind,
                        const std::vector<std::string>& words) {
  const auto error = error_of(stream);
  REQUIRE(error);
  const std::string message = error->what();
  CAPTURE(message);
  CHECK(error->kind() == kind);
  for (const auto& word : words) {
    CAPTURE(word);
    CHECK(message.find(word) != std::string::npos);
  }
}

// After the first error no operation is tried any more.
inline void check_silent_peer(const MakeGroup& make_group) {
  Group group = make_group("test", 2, kShort);
  Stream stream(Device::kCpu);
  std::vector<float> out(4);
  group[1]->recv(as_tensor(out), 0, stream, "nothing");
  check_error(stream, CommError::Kind::kTimeout,
              {"recv #1 (nothing) of group test", "rank 1", "rank 0", "300 ms"});
  group[1]->barrier(stream);
  check_error(stream, CommError::Kind::kTimeout, {"barrier", "rank 1", "before"});
}

inline void check_missing_rank(const MakeGroup& make_group) {
  Group entering = make_group("test", 3, kShort);
  Group two_of_three;
  two_of_three.push_back(std::move(entering[0]));
  two_of_three.push_back(std::move(entering[1]));
  run_ranks(two_of_three, [](Communicator& ranks, Stream& stream) {
    std::vector<float> value{1};
    ranks.all_reduce(as_tensor(value), as_tensor(value), ReduceOp::kSum, stream, "loss");
    const auto error = error_of(stream);
    REQUIRE(error);
    CHECK(error->kind() == CommError::Kind::kTimeout);
    const std::string message = error->what();
    CAPTURE(message);
    CHECK(message.find("all_reduce #1 (loss) of group test") != std::string::npos);
    CHECK(message.find("rank 2") != std::string::npos);
  });
}

inline void check_abort(const MakeGroup& make_group) {
  Group group = make_group("test", 3, kGenerous);
  Stream stream(Device::kCpu);
  std::vector<float> value(1000);
  group[0]->all_reduce(as_tensor(value), as_tensor(value), ReduceOp::kSum, stream, "loss");
  std::thread aborting([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    group[0]->abort();
  });
  const auto begin = std::chrono::steady_clock::now();
  check_error(stream, CommError::Kind::kAborted, {"all_reduce #1 (loss) of group test", "rank 0"});
  CHECK(std::chrono::steady_clock::now() - begin < kGenerous / 2);
  aborting.join();
  group[0]->barrier(stream);
  check_error(stream, CommError::Kind::kAborted, {"barrier"});
}

// What ranks see of one that has been destroyed or aborted while they wait for it.
inline void check_leaving(const MakeGroup& make_group) {
  for (const bool destroy : {true, false}) {
    CAPTURE(destroy);
    Group group = make_group("test", 3, std::chrono::seconds(2));
    Stream one(Device::kCpu);
    Stream two(Device::kCpu);
    std::vector<float> a(100);
    std::vector<float> b(100);
    group[0]->all_reduce(as_tensor(a), as_tensor(a), ReduceOp::kSum, one);
    group[1]->all_reduce(as_tensor(b), as_tensor(b), ReduceOp::kSum, two);
    if (destroy) {
      group[2].reset();
    } else {
      group[2]->abort();
    }
    for (Stream* stream : {&one, &two}) {
      const auto error = error_of(*stream);
      REQUIRE(error);
      CHECK(error->kind() != CommError::Kind::kAborted);
      CHECK(error->kind() != CommError::Kind::kMismatch);
    }
  }
}

inline void check_destruction(const MakeGroup& make_group) {
  Group group = make_group("test", 2, kGenerous);
  Stream stream(Device::kCpu);
  std::vector<float> a(100);
  for (int k = 0; k < 3; ++k)
    group[0]->all_reduce(as_tensor(a), as_tensor(a), ReduceOp::kSum, stream);
  const auto begin = std::chrono::steady_clock::now();
  group[0].reset();
  CHECK(std::chrono::steady_clock::now() - begin < kGenerous / 2);
  check_error(stream, CommError::Kind::kAborted, {"all_reduce #1"});
}

// A receive that is shorter or longer than its send.
inline void check_mismatch(const MakeGroup& make_group) {
  for (const std::int64_t sent : {3, 5, 300000}) {
    CAPTURE(sent);
    Group group = make_group("test", 2, std::chrono::seconds(1));
    Stream sending(Device::kCpu);
    Stream receiving(Device::kCpu);
    std::vector<float> in(static_cast<std::size_t>(sent));
    std::vector<float> out(4);
    group[0]->send(as_tensor(in), 1, sending);
    group[1]->recv(as_tensor(out), 0, receiving);
    check_error(receiving, CommError::Kind::kMismatch, {"recv #1 of group test", "16 bytes"});
    error_of(sending);
  }
}

}  // namespace fulgur::test
