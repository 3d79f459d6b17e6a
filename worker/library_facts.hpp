#pragma once

#include "cluster/doctor/facts.hpp"

namespace fulgur {

// Asks every library that a worker is linked with. What a library cannot do stands in the facts; throws
// nothing that a library can throw.
LibraryFacts gather_library_facts();

}  // namespace fulgur
