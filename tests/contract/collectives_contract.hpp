#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/bfloat16.hpp"
#include "runtime/comm/communicator.hpp"
#include "tests/contract/host_array.hpp"

// What each collective gives, whatever the backend. Every function runs on one rank of a group.
namespace fulgur::test {

using Counts = std::vector<std::int64_t>;

inline std::int64_t total(const Counts& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

// Uneven counts with zeros among them; they add up to about `count` for each rank.
inline Counts uneven(int size, std::int64_t count, int seed) {
  Counts counts;
  for (int r = 0; r < size; ++r)
    counts.push_back((r + seed) % 3 == 0 ? 0 : count / 2 * ((r + seed) % 3) + (r + seed) % 2);
  return counts;
}

// x0 op x1 op x2 ... element by element, in rank order.
template <class T>
std::vector<T> folded(const std::vector<std::vector<T>>& inputs, ReduceOp op) {
  std::vector<T> result = inputs.at(0);
  for (std::size_t r = 1; r < inputs.size(); ++r) {
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i] = op == ReduceOp::kSum ? static_cast<T>(result[i] + inputs[r][i])
                                       : std::max(result[i], inputs[r][i]);
    }
  }
  return result;
}

template <class T>
void check_all_reduce(Communicator& ranks, Stream& stream, std::int64_t count) {
  std::vector<std::vector<T>> inputs;
  for (int r = 0; r < ranks.size(); ++r)
    inputs.push_back(brought_by<T>(r, count));
  for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax}) {
    const auto& own = inputs[static_cast<std::size_t>(ranks.rank())];
    Array<T> in(stream, own);
    Array<T> out(stream, count, T{99});
    ranks.all_reduce(in.tensor(), out.tensor(), op, stream, "apart");
    stream.synchronize();
    CHECK(first_difference(out.values(), folded(inputs, op)) == -1);
    CHECK(first_difference(in.values(), own) == -1);
    ranks.all_reduce(in.tensor(), in.tensor(), op, stream, "in place");
    stream.synchronize();
    CHECK(first_difference(in.values(), folded(inputs, op)) == -1);
  }
}

// What all ranks bring, in rank order.
template <class T>
std::vector<T> brought_by_all(int ranks, const Counts& counts) {
  std::vector<T> all;
  for (int r = 0; r < ranks; ++r) {
    const auto part = brought_by<T>(r, counts[static_cast<std::size_t>(r)]);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

template <class T>
void check_all_gather_v(Communicator& ranks, Stream& stream, const Counts& counts) {
  const auto self = static_cast<std::size_t>(ranks.rank());
  const auto own = brought_by<T>(ranks.rank(), counts[self]);
  const auto expected = brought_by_all<T>(ranks.size(), counts);
  Array<T> in(stream, own);
  Array<T> out(stream, total(counts));
  ranks.all_gather_v(in.tensor(), out.tensor(), counts, stream, "uneven");
  stream.synchronize();
  CHECK(first_difference(out.values(), expected) == -1);

  std::vector<T> with_own(expected.size());
  const auto before = total(Counts(counts.begin(), counts.begin() + ranks.rank()));
  std::copy(own.begin(), own.end(), with_own.begin() + before);
  Array<T> whole(stream, with_own);
  ranks.all_gather_v(whole.tensor().slice(0, before, counts[self]), whole.tensor(), counts, stream,
                     "in place");
  stream.synchronize();
  CHECK(first_difference(whole.values(), expected) == -1);
}

template <class T>
void check_all_gather(Communicator& ranks, Stream& stream, std::int64_t count) {
  Array<T> in(stream, brought_by<T>(ranks.rank(), count));
  Array<T> out(stream, count * ranks.size());
  ranks.all_gather(in.tensor(), out.tensor(), stream);
  stream.synchronize();
  const auto expected =
      brought_by_all<T>(ranks.size(), Counts(static_cast<std::size_t>(ranks.size()), count));
  CHECK(first_difference(out.values(), expected) == -1);
}

template <class T>
void check_reduce_scatter_v(Communicator& ranks, Stream& stream, const Counts& counts,
                            bool equal = false) {
  std::vector<std::vector<T>> inputs;
  for (int r = 0; r < ranks.size(); ++r)
    inputs.push_back(brought_by<T>(r, total(counts)));
  const auto self = static_cast<std::size_t>(ranks.rank());
  const auto sums = folded(inputs, ReduceOp::kSum);
  const auto begin = sums.begin() + std::accumulate(counts.begin(), counts.begin() + ranks.rank(),
                                                    std::int64_t{0});
  const std::vector<T> expected(begin, begin + counts[self]);
  Array<T> out(stream, counts[self]);
  Array<T> in(stream, inputs[self]);
  if (equal) {
    ranks.reduce_scatter(in.tensor(), out.tensor(), stream);
  } else {
    ranks.reduce_scatter_v(in.tensor(), out.tensor(), counts, stream, "uneven");
  }
  stream.synchronize();
  CHECK(first_difference(out.values(), expected) == -1);
  CHECK(first_difference(in.values(), inputs[self]) == -1);
}

// bfloat16 holds whole numbers up to 256 exactly, so their sum does not depend on who adds up what.
inline void check_reduce_scatter_bfloat16(Communicator& ranks, Stream& stream, std::int64_t count) {
  const auto brought = [](std::int64_t i, int rank) { return static_cast<float>(i % 16 + rank); };
  std::vector<std::uint16_t> input, expected;
  for (std::int64_t i = 0; i < count * ranks.size(); ++i)
    input.push_back(to_bfloat16(brought(i, ranks.rank())));
  for (std::int64_t i = count * ranks.rank(); i < count * (ranks.rank() + 1); ++i) {
    float sum = 0;
    for (int r = 0; r < ranks.size(); ++r)
      sum += brought(i, r);
    expected.push_back(to_bfloat16(sum));
  }
  Array<std::uint16_t> in(stream, input), out(stream, count);
  ranks.reduce_scatter(in.tensor(), out.tensor(), stream);
  stream.synchronize();
  CHECK(first_difference(out.values(), expected) == -1);
}

// What goes from rank `from` to rank `to`.
template <class T>
std::vector<T> parcel(int from, int to, int size, std::int64_t count) {
  return brought_by<T>(from * size + to, uneven(size, count, from)[static_cast<std::size_t>(to)]);
}

template <class T>
void check_all_to_all_v(Communicator& ranks, Stream& stream, std::int64_t count) {
  const int size = ranks.size();
  const Counts send_counts = uneven(size, count, ranks.rank());
  Counts recv_counts;
  std::vector<T> given_away;
  std::vector<T> expected;
  for (int r = 0; r < size; ++r) {
    const auto given = parcel<T>(ranks.rank(), r, size, count);
    const auto taken = parcel<T>(r, ranks.rank(), size, count);
    given_away.insert(given_away.end(), given.begin(), given.end());
    expected.insert(expected.end(), taken.begin(), taken.end());
    recv_counts.push_back(static_cast<std::int64_t>(taken.size()));
  }
  Array<T> in(stream, given_away);
  Array<T> out(stream, total(recv_counts));
  ranks.all_to_all_v(in.tensor(), send_counts, out.tensor(), recv_counts, stream, "tokens");
  stream.synchronize();
  CHECK(first_difference(out.values(), expected) == -1);
}

template <class T>
void check_broadcast(Communicator& ranks, Stream& stream, std::int64_t count) {
  for (int root = 0; root < ranks.size(); ++root) {
    Array<T> weights(stream, brought_by<T>(ranks.rank(), count));
    ranks.broadcast(weights.tensor(), root, stream, "weights");
    stream.synchronize();
    CHECK(first_difference(weights.values(), brought_by<T>(root, count)) == -1);
  }
}

// Each rank sends two tensors to its right and one to its left neighbour, the even ranks first.
template <class T>
void check_send_recv(Communicator& ranks, Stream& stream, std::int64_t count) {
  const int size = ranks.size();
  if (size == 1 || size % 2 != 0) return;
  const int right = (ranks.rank() + 1) % size;
  const int left = (ranks.rank() + size - 1) % size;
  Array<T> one(stream, brought_by<T>(ranks.rank(), count));
  Array<T> two(stream, brought_by<T>(ranks.rank() + size, count + 1));
  Array<T> from_left_one(stream, count);
  Array<T> from_left_two(stream, count + 1);
  Array<T> from_right(stream, count);
  const auto give = [&] {
    ranks.send(one.tensor(), right, stream, "one");
    ranks.send(two.tensor(), right, stream, "two");
    ranks.send(one.tensor(), left, stream);
  };
  const auto take = [&] {  // of two ranks left and right are one, whose sends match in call order
    ranks.recv(from_left_one.tensor(), left, stream, "one");
    ranks.recv(from_left_two.tensor(), left, stream, "two");
    ranks.recv(from_right.tensor(), right, stream);
  };
  if (ranks.rank() % 2 == 0) {
    give();
    take();
  } else {
    take();
    give();
  }
  stream.synchronize();
  CHECK(first_difference(from_left_one.values(), brought_by<T>(left, count)) == -1);
  CHECK(first_difference(from_left_two.values(), brought_by<T>(left + size, count + 1)) == -1);
  CHECK(first_difference(from_right.values(), brought_by<T>(right, count)) == -1);
}

// The inexact sums of all ranks: by all_reduce, and by reduce_scatter of what can be cut evenly.
template <class T>
struct InexactSums {
  std::vector<T> whole;
  std::vector<T> part;  // of this rank
};

template <class T>
InexactSums<T> inexact_sums(Communicator& ranks, Stream& stream, std::int64_t count) {
  const auto part = count / ranks.size();
  Array<T> in(stream, inexact<T>(ranks.rank(), count));
  Array<T> out(stream, count);
  Array<T> sums(stream, part);
  ranks.all_reduce(in.tensor(), out.tensor(), ReduceOp::kSum, stream);
  ranks.reduce_scatter(in.tensor().slice(0, 0, part * ranks.size()), sums.tensor(), stream);
  stream.synchronize();
  return {out.values(), sums.values()};
}

template <class T>
void check_rank_order(Communicator& ranks, Stream& stream, std::int64_t count) {
  std::vector<std::vector<T>> inputs;
  for (int r = 0; r < ranks.size(); ++r)
    inputs.push_back(inexact<T>(r, count));
  const auto expected = folded(inputs, ReduceOp::kSum);
  const auto sums = inexact_sums<T>(ranks, stream, count);
  CHECK(first_difference(sums.whole, expected) == -1);
  const auto part = static_cast<std::ptrdiff_t>(sums.part.size());
  const auto begin = expected.begin() + part * ranks.rank();
  CHECK(first_difference(sums.part, std::vector<T>(begin, begin + part)) == -1);
}

// Whatever their order, the sums are the same bits on all ranks and when they are made again.
template <class T>
void check_same_bits(Communicator& ranks, Stream& stream, std::int64_t count) {
  const auto sums = inexact_sums<T>(ranks, stream, count);
  const auto again = inexact_sums<T>(ranks, stream, count);
  CHECK(first_difference(sums.whole, again.whole) == -1);
  CHECK(first_difference(sums.part, again.part) == -1);
  Array<T> of_root(stream, sums.whole);
  ranks.broadcast(of_root.tensor(), 0, stream);
  stream.synchronize();
  CHECK(first_difference(sums.whole, of_root.values()) == -1);
}

}  // namespace fulgur::test
