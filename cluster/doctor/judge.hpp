#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/doctor/facts.hpp"

namespace fulgur {

// What `fulgur doctor` says of one thing.
struct Observation {
  enum class Verdict {
    kOk,
    kWarn,     // runs work, but slower or not all of them
    kMissing,  // no run works without it
  };
  std::string topic;
  Verdict verdict = Verdict::kOk;
  std::string found;
  std::string advice = {};  // what to do; empty when it is well
};
std::string_view to_string(Observation::Verdict verdict);

// Judges the facts; the same facts give the same observations, in the order of the table that the user
// sees. Without library facts (no worker could be asked) that is the first observation, and missing.
std::vector<Observation> judge(const HostFacts& host, const std::optional<LibraryFacts>& libraries);

// Its parts.
std::vector<Observation> judge_libraries(const HostFacts& host, const LibraryFacts& libraries);
std::vector<Observation> judge_resources(const HostFacts& host);
std::vector<Observation> judge_system(const HostFacts& host,
                                      const std::optional<LibraryFacts>& libraries);

// Whether nothing is missing.
bool can_run(const std::vector<Observation>& observations);

}  // namespace fulgur
