#pragma once

#include <cstdint>
#include <span>

#include "runtime/optim/sharded_adamw.hpp"

namespace fulgur {

// Fills the weights that this rank owns with their initial values: a function of (seed, parameter,
// element) alone, so the model does not depend on the layout. Queued on `stream`.
void initialise_weights(std::span<const OwnedRange> owned, std::uint64_t seed, Stream& stream);

}  // namespace fulgur
