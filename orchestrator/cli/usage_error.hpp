#pragma once

#include <stdexcept>

namespace fulgur {

// The command line makes no sense, in a way that its grammar does not catch.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace fulgur
