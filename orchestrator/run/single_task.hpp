#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "recipes/job.hpp"

namespace fulgur {

// Work for one worker that leaves nothing in a run directory's books; the fields as in Assignment.
struct SingleTask {
  std::string task;
  Job job;  // its layout is replaced by that of one rank
  std::filesystem::path checkpoint;
  std::filesystem::path source;
  std::filesystem::path destination;
};

// Starts a worker for it and prints what it writes on stdout, as it comes. Returns the exit code; a
// failure has been explained on stderr.
int run_single_task(const SingleTask& task);

// The same with every text that the worker writes given to `take` instead.
int run_single_task(const SingleTask& task, const std::function<void(const std::string&)>& take);

}  // namespace fulgur
