#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

namespace fulgur {

// Slurm refused, or cannot be reached. The message is its own.
class SchedulerError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Submits a batch script and returns the number of its job. Throws SchedulerError, LaunchError when
// there is no sbatch.
std::string submit_to_slurm(const std::filesystem::path& script);

// "PENDING", "RUNNING", "COMPLETED", ...: as Slurm says; empty when it does not know the job (any more).
// Throws LaunchError when there is no squeue.
std::string slurm_state(const std::string& job);

// Whether Slurm has told a running job to make room for another.
bool was_preempted_in_slurm(const std::string& job);

// Puts a running job back into the queue. Throws as above.
void requeue_in_slurm(const std::string& job);

// Ends a job. With `signal` ("TERM"), sends that to its batch script instead. Throws as above.
void cancel_in_slurm(const std::string& job, const std::string& signal = {});

}  // namespace fulgur
