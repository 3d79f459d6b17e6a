#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "recipes/job.hpp"

namespace fulgur {

// A batch script of Slurm.
struct BatchScript {
  std::string name;
  ClusterSpec cluster;
  std::filesystem::path directory;  // to work in: where the user is
  std::filesystem::path output;     // folder for what it prints: slurm-<job>.log
  // What it runs. Several make a job array, in which element i runs command i.
  std::vector<std::vector<std::string>> commands;
  int at_once = 0;  // elements of the array that may run at the same time; 0: all
};

// The text of the script. It becomes the command (`exec`), so that the warning before the time limit,
// which Slurm sends to the batch script alone, reaches fulgur. Throws std::invalid_argument without a
// command.
std::string batch_script(const BatchScript& script);

// Of --time: "90" minutes; seconds are rounded up.
std::string slurm_minutes(double seconds);

}  // namespace fulgur
