#include <algorithm>

#include "runtime/comm/combine.hpp"
#include "runtime/comm/ucx/communicator.hpp"

// Reductions whose sums are in rank order, so that every rank, run and backend gets the same bits.
// A ring or a tree that adds on the way would not.
namespace fulgur::ucx {
namespace {

// Up to here all_reduce takes one step instead of two, for n / 2 times the bytes.
constexpr std::size_t kSmallBytes = std::size_t{16} << 10;

// Counts that cut `count` elements into parts of whole cache lines, as equal as that allows.
std::vector<std::int64_t> even_counts(std::int64_t count, std::size_t num_ranks) {
  constexpr std::int64_t kLine = 16;  // elements
  const auto ranks = static_cast<std::int64_t>(num_ranks);
  const std::int64_t part = (count + ranks * kLine - 1) / (ranks * kLine) * kLine;
  std::vector<std::int64_t> counts;
  for (std::int64_t r = 0; r < ranks; ++r)
    counts.push_back(std::clamp(count - r * part, std::int64_t{0}, part));
  return counts;
}

}  // namespace

// Reduce-scatter by direct exchange: rank r receives part r of all inputs and adds them up in rank
// order.
// Cost: n - 1 messages and bytes(in) - bytes(out) a rank. The pieces of the others lie in one half
// of the staging memory (2 (n - 1) pieces) while the next ones arrive in the other.
std::size_t UcxCommunicator::reduce_parts(const Operation& operation, std::span<const Run> parts,
                                          std::byte* out) {
  const std::size_t num_peers = num_ranks() - 1;
  const std::size_t own = parts[self()].size;
  std::size_t most = 0;
  for (const Run& part : parts)
    most = std::max(most, num_pieces(part.size));
  const std::size_t half = num_peers * std::min(own, kPieceBytes);
  std::byte* halves = staging(2 * half);
  const auto post = [&](std::size_t i) {
    for (std::size_t distance = 1; distance <= num_peers; ++distance) {
      const int to = around(distance);
      const int from = around(num_ranks() - distance);
      const Run& given = parts[static_cast<std::size_t>(to)];
      if (i < num_pieces(own)) {
        const auto size = piece(own, i).size;
        const auto slot = static_cast<std::size_t>(from < rank() ? from : from - 1);
        channel_.recv(from, i, halves + i % 2 * half + slot * size, size);
      }
      if (i < num_pieces(given.size)) {
        const auto [begin, size] = piece(given.size, i);
        channel_.send(to, i, given.data + begin, size);
      }
    }
  };
  if (most > 0) post(0);
  for (std::size_t i = 0; i < most; ++i) {
    channel_.wait();
    if (i + 1 < most) post(i + 1);
    if (i < num_pieces(own)) {
      combine_pieces(operation, piece(own, i), parts, halves + i % 2 * half, out);
    }
  }
  return most;
}

// `received` holds this piece of all other ranks, one behind the other in rank order.
void UcxCommunicator::combine_pieces(const Operation& operation, const Piece& where,
                                     std::span<const Run> parts, const std::byte* received,
                                     std::byte* out) {
  std::vector<const void*> sources;
  sources.reserve(num_ranks());
  for (std::size_t r = 0; r < num_ranks(); ++r) {
    if (r == self()) {
      sources.push_back(parts[r].data + where.begin);
    } else {
      sources.push_back(received + (r < self() ? r : r - 1) * where.size);
    }
  }
  const auto count = static_cast<std::int64_t>(where.size / size_bytes(operation.in.dtype));
  combine(operation.reduce, operation.in.dtype, sources, out + where.begin, count);
}

void UcxCommunicator::reduce_scatter_now(const Operation& operation) {
  const auto parts = runs_of(static_cast<std::byte*>(operation.in.data), operation.send_counts,
                             size_bytes(operation.in.dtype));
  within(operation,
         [&] { reduce_parts(operation, parts, static_cast<std::byte*>(operation.out.data)); });
}

void UcxCommunicator::all_reduce_now(const Operation& operation) {
  if (operation.in.bytes() <= kSmallBytes) {
    all_reduce_small(operation);
  } else {
    all_reduce_large(operation);
  }
}

// Every rank sends all to all and adds up on its own.
// Cost: one step, n - 1 messages and (n - 1) bytes(in) a rank.
void UcxCommunicator::all_reduce_small(const Operation& operation) {
  const std::size_t bytes = operation.in.bytes();
  std::byte* gathered = staging(bytes * num_ranks());
  std::vector<const void*> sources(num_ranks(), operation.in.data);
  within(operation, [&] {
    for (std::size_t distance = 1; distance < num_ranks(); ++distance) {
      const int from = around(num_ranks() - distance);
      std::byte* place = gathered + static_cast<std::size_t>(from) * bytes;
      sources[static_cast<std::size_t>(from)] = place;
      channel_.recv(from, 0, place, bytes);
      channel_.send(around(distance), 0, operation.in.data, bytes);
    }
  });
  combine(operation.reduce, operation.in.dtype, sources, operation.out.data, operation.in.count());
}

// Reduce-scatter, then all-gather of the parts.
// Cost: two steps, 2 (n - 1) messages and 2 (n - 1) / n bytes(in) a rank.
void UcxCommunicator::all_reduce_large(const Operation& operation) {
  const auto counts = even_counts(operation.in.count(), num_ranks());
  const std::size_t width = size_bytes(operation.in.dtype);
  const auto in_parts = runs_of(static_cast<std::byte*>(operation.in.data), counts, width);
  const auto out_parts = runs_of(static_cast<std::byte*>(operation.out.data), counts, width);
  const std::vector<Run> sends(num_ranks(), out_parts[self()]);
  within(operation, [&] {
    // In place, the parts that come back overwrite parts that were sent: all sends are done by
    // then.
    const std::size_t steps = reduce_parts(operation, in_parts, out_parts[self()].data);
    exchange(sends, out_parts, steps);
  });
}

}  // namespace fulgur::ucx
