#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "tests/contract/backend.hpp"
#include "tests/contract/collectives_contract.hpp"
#include "tests/support/run_ranks.hpp"

namespace fulgur::test {

// How long a rank waits for one that leaves.
inline constexpr std::chrono::milliseconds kLeaving{2000};

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
inline void check_silent_peer(const Backend& backend) {
  Group group = backend.make_group("test", 2, backend.patience);
  enter(backend.device, 1);
  Stream stream(backend.device);
  Array<float> out(stream, 4);
  group[1]->recv(out.tensor(), 0, stream, "nothing");
  check_error(stream, CommError::Kind::kTimeout,
              {"recv #1 (nothing) of group test", "rank 1", "rank 0",
               std::to_string(backend.patience.count()) + " ms"});
  group[1]->barrier(stream);
  check_error(stream, CommError::Kind::kTimeout, {"barrier", "rank 1", "before"});
}

// All ranks but the last enter a collective.
inline void check_missing_rank(const Backend& backend) {
  const int size = backend.at_most(3);
  Group entering = backend.make_group("test", size, backend.patience);
  const auto missing = std::move(entering.back());
  entering.pop_back();
  backend.run_ranks(entering, [&](Communicator& ranks, Stream& stream) {
    Array<float> value(stream, std::vector<float>{1});
    ranks.all_reduce(value.tensor(), value.tensor(), ReduceOp::kSum, stream, "loss");
    const auto error = error_of(stream);
    REQUIRE(error);
    CHECK(error->kind() == CommError::Kind::kTimeout);
    const std::string message = error->what();
    CAPTURE(message);
    CHECK(message.find("all_reduce #1 (loss) of group test") != std::string::npos);
    if (backend.names_missing_rank)
      CHECK(message.find("rank " + std::to_string(size - 1)) != std::string::npos);
  });
}

inline void check_abort(const Backend& backend) {
  Group group = backend.make_group("test", backend.at_most(3), kGenerous);
  enter(backend.device, 0);
  Stream stream(backend.device);
  Array<float> value(stream, 1000);
  group[0]->all_reduce(value.tensor(), value.tensor(), ReduceOp::kSum, stream, "loss");
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
inline void check_leaving(const Backend& backend) {
  const int size = backend.at_most(3);
  for (const bool destroy : {true, false}) {
    CAPTURE(destroy);
    Group group = backend.make_group("test", size, std::max(backend.patience, kLeaving));
    std::vector<std::unique_ptr<Stream>> streams;
    std::vector<std::unique_ptr<Array<float>>> values;
    for (int rank = 0; rank < size - 1; ++rank) {
      enter(backend.device, rank);
      streams.push_back(std::make_unique<Stream>(backend.device));
      values.push_back(std::make_unique<Array<float>>(*streams.back(), 100));
    }
    for (int rank = 0; rank < size - 1; ++rank) {
      enter(backend.device, rank);
      const auto r = static_cast<std::size_t>(rank);
      group[r]->all_reduce(values[r]->tensor(), values[r]->tensor(), ReduceOp::kSum, *streams[r]);
    }
    if (destroy) {
      group.back().reset();
    } else {
      group.back()->abort();
    }
    for (const auto& stream : streams) {
      const auto error = error_of(*stream);
      REQUIRE(error);
      CHECK(error->kind() != CommError::Kind::kAborted);
      CHECK(error->kind() != CommError::Kind::kMismatch);
    }
  }
}

inline void check_destruction(const Backend& backend) {
  Group group = backend.make_group("test", 2, kGenerous);
  enter(backend.device, 0);
  Stream stream(backend.device);
  Array<float> a(stream, 100);
  for (int k = 0; k < 3; ++k)
    group[0]->all_reduce(a.tensor(), a.tensor(), ReduceOp::kSum, stream);
  const auto begin = std::chrono::steady_clock::now();
  group[0].reset();
  CHECK(std::chrono::steady_clock::now() - begin < kGenerous / 2);
  check_error(stream, CommError::Kind::kAborted, {"all_reduce #1"});
}

// A receive that is shorter or longer than its send.
inline void check_mismatch(const Backend& backend) {
  if (!backend.notices_mismatch) return;
  for (const std::int64_t sent : {3, 5, 300000}) {
    CAPTURE(sent);
    Group group = backend.make_group("test", 2, std::chrono::seconds(1));
    enter(backend.device, 0);
    Stream sending(backend.device);
    Array<float> in(sending, sent);
    enter(backend.device, 1);
    Stream receiving(backend.device);
    Array<float> out(receiving, 4);
    enter(backend.device, 0);
    group[0]->send(in.tensor(), 1, sending);
    enter(backend.device, 1);
    group[1]->recv(out.tensor(), 0, receiving);
    check_error(receiving, CommError::Kind::kMismatch, {"recv #1 of group test", "16 bytes"});
    error_of(sending);
  }
}

}  // namespace fulgur::test
