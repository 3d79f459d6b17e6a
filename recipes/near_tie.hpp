#pragma once

namespace fulgur {

// A token whose k-th and next likeliest experts differ by no more than this (relative, in the router's
// probabilities) can be sent to the other one by rounding alone. What is computed behind it is then another
// thing, so runs that are compared take the choice of one of them for such tokens (docs/parity.md).
inline constexpr double kNearTie = 1e-5;

}  // namespace fulgur
