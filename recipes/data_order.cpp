#include "recipes/data_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "recipes/phases.hpp"

namespace fulgur {
namespace {

constexpr auto kNever = std::numeric_limits<std::int64_t>::max();

}  // namespace

DataOrder::DataOrder(const Job& job, std::int64_t anchor, std::vector<std::int64_t> read) {
  const auto mixes = stretch_mixes(job);
  if (anchor < 0 || read.size() != mixes.front().end.size())
    throw std::invalid_argument("DataOrder: a negative anchor, or another number of sources");
  for (auto from = anchor; from != kNever;) {
    const auto phase = phase_at(job, from);
    const auto train = train_of_phase(job, phase);
    const auto length = train.sequence_length, step = train.batch * length;
    const auto& mix = mixes[phase];
    auto corner = mix.next_corner(from);
    const bool last = phase == job.phases.from.size();
    if (!last) corner = std::min(corner, job.phases.from[phase]);
    // The piece ends with the step that passes the corner.
    const auto steps = corner == kNever ? 0 : (corner - from + step - 1) / step;
    const auto samples = steps * train.batch;
    const bool in_transition = from - mix.from < mix.over;
    const auto shares = mix.at(from);
    pieces_.push_back({.from = from,
                       .length = length,
                       .read = read,
                       .order = MixOrder(shares, in_transition ? mix.end : shares, samples)});
    if (corner == kNever) return;
    const auto counts = pieces_.back().order.counts(samples);
    for (std::size_t source = 0; source < read.size(); ++source)
      read[source] += counts[source] * length;
    from += steps * step;
  }
}

const DataOrder::Piece& DataOrder::piece_at(std::int64_t tokens) const {
  if (tokens < pieces_.front().from)
    throw std::invalid_argument(fmt::format("DataOrder: the order begins at {} tokens, not at {}",
                                            pieces_.front().from, tokens));
  const auto behind =
      std::upper_bound(pieces_.begin(), pieces_.end(), tokens,
                       [](std::int64_t at, const Piece& piece) { return at < piece.from; });
  return *std::prev(behind);
}

DataOrder::Place DataOrder::sample(std::int64_t tokens, std::int64_t i) const {
  const auto& piece = piece_at(tokens);
  const auto [source, index] = piece.order.sample((tokens - piece.from) / piece.length + i);
  return {.source = source, .token = piece.read[source] + index * piece.length};
}

std::vector<std::int64_t> DataOrder::read(std::int64_t tokens, std::int64_t i) const {
  const auto& piece = piece_at(tokens);
  auto read = piece.order.counts((tokens - piece.from) / piece.length + i);
  for (std::size_t source = 0; source < read.size(); ++source)
    read[source] = piece.read[source] + read[source] * piece.length;
  return read;
}

}  // namespace fulgur
