#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

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
    auto in = inputs[static_cast<std::size_t>(ranks.rank())];
    std::vector<T> out(in.size(), T{99});
    ranks.all_reduce(as_tensor(in), as_tensor(out), op, stream, "apart");
    stream.synchronize();
    CHECK(first_difference(out, folded(inputs, op)) == -1);
    CHECK(first_difference(in, inputs[static_cast<std::size_t>(ranks.rank())]) == -1);
    ranks.all_reduce(as_tensor(in), as_tensor(in), op, stream, "in place");
    stream.synchronize();
    CHECK(first_difference(in, folded(inputs, op)) == -1);
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
  auto in = brought_by<T>(ranks.rank(), counts[self]);
  const auto expected = brought_by_all<T>(ranks.size(), counts);
  std::vector<T> out(expected.size());
  ranks.all_gather_v(as_tensor(in), as_tensor(out), counts, stream, "uneven");
  stream.synchronize();
  CHECK(first_difference(out, expected) == -1);

  std::vector<T> in_place(expected.size());
  const auto begin =
      std::accumulate(counts.begin(), counts.begin() + ranks.rank(), std::int64_t{0});
  std::copy(in.begin(), in.end(), in_place.begin() + begin);
  const Tensor own =
      as_tensor(in_place).slice(0, begin, counts[static_cast<std::size_t>(ranks.rank())]);
  ranks.all_gather_v(own, as_tensor(in_place), counts, stream, "in place");
  stream.synchronize();
  CHECK(first_difference(in_place, expected) == -1);

  std::vector<T> whole(expected.size());
  const auto before = total(Counts(counts.begin(), counts.begin() + ranks.rank()));
  std::copy(in.begin(), in.end(), whole.begin() + before);
  const auto all = as_tensor(whole);
  ranks.all_gather_v(all.slice(0, before, counts[self]), all, counts, stream, "in place");
  stream.synchronize();
  CHECK(first_difference(whole, expected) == -1);
}

template <class T>
void check_all_gather(Communicator& ranks, Stream& stream, std::int64_t count) {
  auto in = brought_by<T>(ranks.rank(), count);
  const auto expected =
      brought_by_all<T>(ranks.size(), Counts(static_cast<std::size_t>(ranks.size()), count));
  std::vector<T> out(expected.size());
  ranks.all_gather(as_tensor(in), as_tensor(out), stream);
  stream.synchronize();
  CHECK(first_difference(out, expected) == -1);
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
  std::vector<T> out(expected.size());
  auto in = inputs[self];
  if (equal) {
    ranks.reduce_scatter(as_tensor(in), as_tensor(out), stream);
  } else {
    ranks.reduce_scatter_v(as_tensor(in), as_tensor(out), counts, stream, "uneven");
  }
  stream.synchronize();
  CHECK(first_difference(out, expected) == -1);
  CHECK(first_difference(in, inputs[self]) == -1);
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
  std::vector<T> in;
  std::vector<T> expected;
  for (int r = 0; r < size; ++r) {
    const auto given = parcel<T>(ranks.rank(), r, size, count);
    const auto taken = parcel<T>(r, ranks.rank(), size, count);
    in.insert(in.end(), given.begin(), given.end());
    expected.insert(expected.end(), taken.begin(), taken.end());
    recv_counts.push_back(static_cast<std::int64_t>(taken.size()));
  }
  std::vector<T> out(expected.size());
  ranks.all_to_all_v(as_tensor(in), send_counts, as_tensor(out), recv_counts, stream, "tokens");
  stream.synchronize();
  CHECK(first_difference(out, expected) == -1);
}

template <class T>
void check_broadcast(Communicator& ranks, Stream& stream, std::int64_t count) {
  for (int root = 0; root < ranks.size(); ++root) {
    auto tensor = brought_by<T>(ranks.rank(), count);
    ranks.broadcast(as_tensor(tensor), root, stream, "weights");
    stream.synchronize();
    CHECK(first_difference(tensor, brought_by<T>(root, count)) == -1);
  }
}

// Each rank sends two tensors to its right and one to its left neighbour, the even ranks first.
template <class T>
void check_send_recv(Communicator& ranks, Stream& stream, std::int64_t count) {
  const int size = ranks.size();
  if (size == 1 || size % 2 != 0) return;
  const int right = (ranks.rank() + 1) % size;
  const int left = (ranks.rank() + size - 1) % size;
  auto one = brought_by<T>(ranks.rank(), count);
  auto two = brought_by<T>(ranks.rank() + size, count + 1);
  std::vector<T> from_left_one(one.size());
  std::vector<T> from_left_two(two.size());
  std::vector<T> from_right(one.size());
  const auto give = [&] {
    ranks.send(as_tensor(one), right, stream, "one");
    ranks.send(as_tensor(two), right, stream, "two");
    ranks.send(as_tensor(one), left, stream);
  };
  const auto take = [&] {
    ranks.recv(as_tensor(from_left_one), left, stream, "one");
    ranks.recv(as_tensor(from_left_two), left, stream, "two");
    ranks.recv(as_tensor(from_right), right, stream);
  };
  if (size == 2) {  // left and right are one rank, whose sends match in call order
    from_right.swap(from_left_one);
  }
  if (ranks.rank() % 2 == 0) {
    give();
    take();
  } else {
    take();
    give();
  }
  stream.synchronize();
  CHECK(first_difference(from_left_one, brought_by<T>(left, count)) == -1);
  CHECK(first_difference(from_left_two, brought_by<T>(left + size, count + 1)) == -1);
  CHECK(first_difference(from_right, brought_by<T>(right, count)) == -1);
}

template <class T>
void check_rank_order(Communicator& ranks, Stream& stream, std::int64_t count) {
  std::vector<std::vector<T>> inputs;
  for (int r = 0; r < ranks.size(); ++r)
    inputs.push_back(inexact<T>(r, count));
  auto in = inputs[static_cast<std::size_t>(ranks.rank())];
  const auto expected = folded(inputs, ReduceOp::kSum);
  std::vector<T> out(in.size());
  ranks.all_reduce(as_tensor(in), as_tensor(out), ReduceOp::kSum, stream);
  const auto part = static_cast<std::size_t>(count / ranks.size());
  std::vector<T> sums(part);
  std::vector<T> in_parts(in.begin(),
                          in.begin() + static_cast<std::ptrdiff_t>(part) * ranks.size());
  ranks.reduce_scatter(as_tensor(in_parts), as_tensor(sums), stream);
  stream.synchronize();
  CHECK(first_difference(out, expected) == -1);
  const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(part) * ranks.rank();
  CHECK(first_difference(sums, std::vector<T>(begin, begin + static_cast<std::ptrdiff_t>(part))) ==
        -1);
}

}  // namespace fulgur::test
