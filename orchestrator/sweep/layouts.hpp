#pragma once

#include <vector>

#include "recipes/layout.hpp"

namespace fulgur {

// Every layout of `world` ranks whose two meshes fit each other: pp x dp x cp x tp = world, and ep x etp
// divides dp x cp x tp. What a model allows of them is for the rules. In the order of the axes, the
// last one fastest. Throws std::invalid_argument unless world > 0.
std::vector<Layout> layouts_of(int world);

}  // namespace fulgur
