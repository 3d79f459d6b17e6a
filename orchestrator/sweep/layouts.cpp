#include "orchestrator/sweep/layouts.hpp"

#include <stdexcept>

namespace fulgur {
namespace {

std::vector<int> divisors(int number) {
  std::vector<int> result;
  for (int each = 1; each <= number; ++each)
    if (number % each == 0) result.push_back(each);
  return result;
}

}  // namespace

std::vector<Layout> layouts_of(int world) {
  if (world < 1) throw std::invalid_argument("layouts_of: expected a positive number of ranks");
  std::vector<Layout> layouts;
  for (const int pp : divisors(world)) {
    const int stage = world / pp;
    for (const int dp : divisors(stage))
      for (const int cp : divisors(stage / dp))
        for (const int ep : divisors(stage))
          for (const int etp : divisors(stage / ep))
            layouts.push_back(
                {.pp = pp, .dp = dp, .cp = cp, .tp = stage / dp / cp, .ep = ep, .etp = etp});
  }
  return layouts;
}

}  // namespace fulgur
