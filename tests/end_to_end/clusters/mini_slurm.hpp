#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur::test {

// A real Slurm with two nodes on this machine, n1 and n2, and all of its own: keys, ports, folders, the
// daemons munged, slurmctld and one slurmd for each node. The partition "main" may be preempted by jobs of
// the partition "urgent". A job that is queued again starts within seconds. The test is kept on one core.
class MiniSlurm {
 public:
  // Throws std::runtime_error, with the ends of the logs, when the nodes are not idle within a minute.
  MiniSlurm();
  ~MiniSlurm();
  MiniSlurm(const MiniSlurm&) = delete;
  MiniSlurm& operator=(const MiniSlurm&) = delete;

  // What programs need in their environment to find it.
  const std::map<std::string, std::string>& environment() const noexcept { return environment_; }

  // A command of Slurm, to its end.
  Outcome run(std::vector<std::string> command) const;

  // "RUNNING", "PENDING", "COMPLETED", "FAILED", ...
  std::string state(const std::string& job) const;
  bool reaches(const std::string& job, const std::string& state) const;
  // A field of `scontrol show job`: "ExitCode".
  std::string field(const std::string& job, const std::string& name) const;

 private:
  void write_configuration();
  void wait_for_nodes();
  std::string log_tails() const;

  TemporaryDirectory folder_;
  std::map<std::string, std::string> environment_;
  std::unique_ptr<Program> munged_, slurmctld_, node1_, node2_;
};

}  // namespace fulgur::test
