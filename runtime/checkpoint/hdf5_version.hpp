#pragma once

#include <string>

namespace fulgur {

// Of the library that this process runs with.
struct Hdf5Version {
  std::string number;  // "1.10.8"
  bool thread_safe = false;
};
Hdf5Version hdf5_version();

}  // namespace fulgur
