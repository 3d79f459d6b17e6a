#include "cluster/doctor/judge.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace fulgur {

std::string_view to_string(Observation::Verdict verdict) {
  switch (verdict) {
    case Observation::Verdict::kOk:
      return "ok";
    case Observation::Verdict::kWarn:
      return "warn";
    case Observation::Verdict::kMissing:
      return "missing";
  }
  return "missing";
}

std::vector<Observation> judge(const HostFacts& host,
                               const std::optional<LibraryFacts>& libraries) {
  std::vector<Observation> all;
  const auto append = [&all](std::vector<Observation> more) {
    std::move(more.begin(), more.end(), std::back_inserter(all));
  };
  if (libraries) {
    append(judge_libraries(host, *libraries));
  } else {
    all.push_back({"worker", Observation::Verdict::kMissing, "fulgur-worker gave no answer",
                   "the message above says why; `ldd` on fulgur-worker shows libraries that are "
                   "not installed"});
  }
  append(judge_resources(host));
  append(judge_system(host, libraries));
  return all;
}

bool can_run(const std::vector<Observation>& observations) {
  return std::none_of(observations.begin(), observations.end(), [](const Observation& each) {
    return each.verdict == Observation::Verdict::kMissing;
  });
}

}  // namespace fulgur
