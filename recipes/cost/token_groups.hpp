#pragma once

#include <cstdint>

#include "recipes/cost/hardware.hpp"
#include "recipes/job.hpp"

namespace fulgur {

// The times of one layer's exchange of tokens, forward, when all tokens go at once; seconds.
struct ExchangeTimes {
  double dispatch = 0, combine = 0;  // all-to-all over ep
  double gather = 0, scatter = 0;    // over etp
  double experts = 0;                // with rows without end
  double alpha = 0;                  // what every operation of a group takes besides
  double rows = 0;                   // of an expert
  double half_rows = 0;              // that would halve the experts' rate: Hardware::grouped_rows
  bool one_link = false;             // ep and etp use the same link
};

// The time with the tokens in G groups, one of which travels while another is worked on. With
// a = A / G + alpha and so on, and experts at an efficiency of M / (M + half_rows) for M rows:
//
//   period  P = max(a + b, g + r, c), on one link max(a + b + g + r, c)
//   T(G)      = a + g + c + r + b + (G - 1) P
//
// So with work that takes longer than the exchange, (A + B + Ga + R) / G + 4 alpha is exposed; too many
// groups pay alpha and lose efficiency.
double exchange_seconds(const ExchangeTimes& times, std::int64_t groups);

// The power of two up to `most` with the least forward and backward time (twice the work, the same
// exchange).
std::int64_t best_token_groups(const ExchangeTimes& times, std::int64_t most);

// The exchange of a job's layers. REQUIRES: a job that keeps the rules.
ExchangeTimes exchange_times(const Job& job, const Hardware& hardware, double imbalance);

// What `token_groups: auto` stands for; 1 where no token travels.
std::int64_t best_token_groups(const Job& job, const Hardware& hardware, double imbalance);

}  // namespace fulgur
