#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>
#include <string>

#include "tests/contract/backend.hpp"
#include "tests/contract/collectives_contract.hpp"
#include "tests/support/run_ranks.hpp"

namespace fulgur::test {

// `call` throws std::invalid_argument, and its message has all these words.
inline void check_refused(const std::function<void()>& call,
                          const std::vector<std::string>& words) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    for (const auto& word : words) {
      CAPTURE(message);
      CAPTURE(word);
      CHECK(message.find(word) != std::string::npos);
    }
    return;
  }
  FAIL_CHECK("expected a refusal that says: ", words.front());
}

inline void check_refusals_of_reductions(Communicator& ranks, Stream& stream) {
  std::vector<float> four(4);
  std::vector<float> other(4);
  std::vector<float> two(2);
  std::vector<double> doubles(4);
  std::vector<std::uint16_t> halves(4);
  std::vector<std::uint16_t> more_halves(4);
  std::vector<std::int64_t> integers(4);
  std::vector<std::int64_t> two_integers(2);
  const auto all_reduce = [&](const Tensor& in, const Tensor& out) {
    ranks.all_reduce(in, out, ReduceOp::kSum, stream);
  };
  check_refused([&] { all_reduce(as_tensor(four), as_tensor(two)); },
                {"all_reduce of group test", "out: expected 4 elements, got 2"});
  check_refused([&] { all_reduce(as_tensor(four), as_tensor(doubles)); },
                {"out: expected dtype float32", "got float64"});
  check_refused([&] { all_reduce(as_tensor(halves), as_tensor(more_halves)); },
                {"in: expected a dtype of float32, float64, int32, int64", "bfloat16"});
  check_refused(
      [&] {
        all_reduce(as_tensor(four).view({2, 2}).slice(1, 0, 1), as_tensor(two));
      },
      {"in: expected a contiguous tensor"});
  check_refused([&] { all_reduce(as_tensor(four).slice(0, 0, 3), as_tensor(four).slice(0, 1, 3)); },
                {"out: overlaps in"});
  Tensor nowhere = as_tensor(four);
  nowhere.data = nullptr;
  check_refused([&] { all_reduce(as_tensor(four), nowhere); }, {"out: expected memory"});
  check_refused([&] { ranks.reduce_scatter(as_tensor(integers), as_tensor(two_integers), stream); },
                {"reduce_scatter", "float32, float64", "int64"});
  check_refused([&] { ranks.reduce_scatter(as_tensor(four), as_tensor(other), stream); },
                {"reduce_scatter", "expected a sum of 4", "got 8"});
}

inline void check_refusals_of_moves(Communicator& ranks, Stream& stream) {
  std::vector<float> four(4);
  std::vector<float> two(2);
  const auto all_gather_v = [&](const Counts& counts) {
    ranks.all_gather_v(as_tensor(two), as_tensor(four), counts, stream);
  };
  check_refused([&] { all_gather_v({4}); }, {"counts: expected one count for each of 2", "got 1"});
  check_refused([&] { all_gather_v({5, -1}); }, {"counts: expected no negative"});
  check_refused([&] { all_gather_v({2, 3}); }, {"counts: expected a sum of 4", "got 5"});
  check_refused(
      [&] {
        all_gather_v(ranks.rank() == 0 ? Counts{1, 3} : Counts{3, 1});
      },
      {"in: expected 1 elements, got 2"});
  check_refused([&] { ranks.all_gather(as_tensor(four), as_tensor(four), stream); },
                {"all_gather"});
  check_refused(
      [&] {
        ranks.all_to_all_v(as_tensor(two), Counts{1, 1}, as_tensor(four),
                           ranks.rank() == 0 ? Counts{2, 2} : Counts{2, 2}, stream);
      },
      {"recv_counts[" + std::to_string(ranks.rank()) + "]"});
  check_refused([&] { ranks.broadcast(as_tensor(four), 2, stream); },
                {"broadcast", "root: expected a rank below 2, got 2"});
  check_refused([&] { ranks.send(as_tensor(four), ranks.rank(), stream); }, {"send to itself"});
  check_refused([&] { ranks.send(as_tensor(four), -1, stream); }, {"to: expected a rank", "-1"});
  check_refused([&] { ranks.recv(as_tensor(four), ranks.rank(), stream); },
                {"receive from itself"});
  check_refused([&] { ranks.recv(as_tensor(four), 7, stream); }, {"from: expected a rank", "7"});
}

// The tensors lie on the host, also for GPUs: they are never touched.
inline void check_arguments(const Backend& backend) {
  backend.run_ranks(2, [](Communicator& ranks, Stream& stream) {
    check_refusals_of_reductions(ranks, stream);
    check_refusals_of_moves(ranks, stream);
    check_all_reduce<float>(ranks, stream, 100);
    check_send_recv<float>(ranks, stream, 100);
  });
}

}  // namespace fulgur::test
