#pragma once

#include <filesystem>

#include "recipes/job.hpp"

namespace fulgur {

// Starts one worker that goes on with job.sample.prompt by the model of a checkpoint, and prints what it
// writes on stdout, as it comes. Returns the exit code; a failure has been explained on stderr.
int print_sample(const Job& job, const std::filesystem::path& checkpoint);

}  // namespace fulgur
