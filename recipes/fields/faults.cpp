#include "recipes/fields/declared.hpp"

namespace fulgur::declared {
namespace {

constexpr Range kTimes = {.min = 0, .max = 1'000'000};
constexpr Range kLong = {.min = 0.01, .max = 31 * 86400};

}  // namespace

std::vector<Field> fault_fields() {
  return {
      {.name = "faults.restarts",
       .access = kMember<&Job::faults, &FaultsSpec::restarts>,
       .range = kTimes,
       .help =
           "How often within `faults.restarts_per` the workers are started again, from the newest "
           "sound checkpoint, when one of them died or hung; then the run fails with exit code 1."},
      {.name = "faults.restarts_per",
       .access = kMember<&Job::faults, &FaultsSpec::restarts_per_seconds>,
       .unit = Unit::kSeconds,
       .range = kLong,
       .help = "The time over which restarts are counted."},
      {.name = "faults.no_progress",
       .access = kMember<&Job::faults, &FaultsSpec::no_progress>,
       .range = {.min = 1, .max = 1'000'000},
       .help = "So many attempts in a row that fail without a new checkpoint end the run with exit "
               "code 93: the next would fail the same way."},
      {.name = "faults.setup_timeout",
       .access = kMember<&Job::faults, &FaultsSpec::setup_timeout_seconds>,
       .unit = Unit::kSeconds,
       .range = kLong,
       .help = "How long the workers may take from their start to the end of their second step."},
      {.name = "faults.step_timeout",
       .access = kMember<&Job::faults, &FaultsSpec::step_timeout_seconds>,
       .unit = Unit::kSeconds,
       .range = {.min = 0, .max = 31 * 86400},
       .help = "A step that takes longer has hung. 0: five times the 99th percentile of the steps "
               "before, and at least 30 s."},
      {.name = "faults.checkpoint_timeout",
       .access = kMember<&Job::faults, &FaultsSpec::checkpoint_timeout_seconds>,
       .unit = Unit::kSeconds,
       .range = kLong,
       .help = "How long the workers may wait for the last checkpoint of a run."},
      {.name = "faults.spares",
       .access = kMember<&Job::faults, &FaultsSpec::spares>,
       .range = {.min = 0, .max = 65536},
       .help =
           "slurm: how many nodes are asked for beyond `cluster.nodes`, to take the place of lost "
           "ones. Over ssh the hosts that no worker needs are the spares."},
      {.name = "faults.min_dp",
       .access = kMember<&Job::faults, &FaultsSpec::min_dp>,
       .range = {.min = 0, .max = 65536},
       .help = "When nodes are lost and no spare is left, the run goes on with fewer data-parallel "
               "replicas, down to this many; when it is started again, all nodes are tried. 0: it "
               "does not."},
  };
}

}  // namespace fulgur::declared
