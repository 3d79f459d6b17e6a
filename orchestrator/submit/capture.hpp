#pragma once

#include <string>
#include <vector>

#include "cluster/launch/child_process.hpp"

namespace fulgur {

// What a program wrote, and how it ended.
struct Captured {
  ExitStatus status;
  std::string output, errors;

  bool well() const { return status == ExitStatus{}; }
};

// Runs a program that PATH leads to, to its end, for half a minute at most: then it is killed. Throws
// LaunchError when there is no such program.
Captured capture(const std::string& program, const std::vector<std::string>& arguments);

}  // namespace fulgur
