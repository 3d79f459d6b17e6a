#pragma once

#include <cstdint>
#include <string>

namespace fulgur::test {

// What a simulated run came to.
struct SimulationEnd {
  std::string broken;  // the invariant that does not hold, and when; empty: all hold
  int exit_code = -1;
  int attempts = 0;
  int commits = 0;
  int refused = 0;      // workers of other attempts, and second ones of a rank
  int faults = 0;       // that were injected
  bool shrank = false;  // an attempt had fewer replicas than the one before
  bool grew = false;
};

// A whole run on a clock of its own, with all its randomness from `seed`: decide() and supervise() as the
// coordinator calls them, and beneath them workers, nodes and launchers that die, pause, hang, are cut off,
// come late or twice, and come back with an old attempt's number.
//
// The invariants: the steps of commits only grow, but for what a damaged checkpoint takes back; nobody of
// another attempt, and no second worker of a rank, is let in; no attempt begins before all workers of the one
// before have ended or are lost with their node; no node gets more workers than it has slots, and no excluded
// node any; failures are answered by no more restarts than allowed, and by none after as many without progress
// as are allowed; a run that says it is complete is; every run ends.
SimulationEnd simulate(std::uint64_t seed);

}  // namespace fulgur::test
