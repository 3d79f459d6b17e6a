#pragma once

#include <cstdint>
#include <vector>

#include "runtime/comm/communicator.hpp"

namespace fulgur {

// What one rank measured of its link to another.
struct LinkMeasured {
  int peer = 0;
  double latency_microseconds = 0;  // half of a round trip of 8 bytes, the median
  double gigabytes_per_second = 0;  // there and back, the mean of both, 10^9 bytes
};

// Who meets whom in round `round` of a tournament of `size` ranks in which each meets each once, in
// rounds 0 to num_rounds(size) - 1; -1: the rank rests. It is mutual.
int partner_in_round(int size, int rank, int round);
int num_rounds(int size) noexcept;

// Measures the links of this rank: in each of the first `rounds` rounds of the tournament all pairs at
// once. Collective over a group of host memory (UCX). Cost: 80 messages and 32 MiB each way in a round.
// Throws CommError.
std::vector<LinkMeasured> probe_links(Communicator& group, int rounds);

}  // namespace fulgur
