#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace fulgur {

// When to knock again at a door that was shut: a coordinator lets a few strangers in at a time, and hundreds of
// workers come at once. The pauses double from 50 ms to 2 s; each is drawn from its upper half, so that those who
// came together do not come back together.
class JoinBackOff {
 public:
  using Clock = std::chrono::steady_clock;

  // `seed` differs between those who knock.
  JoinBackOff(Clock::duration limit, unsigned seed)
      : deadline_(Clock::now() + limit), random_(seed) {}

  bool is_over() const { return Clock::now() >= deadline_; }

  std::chrono::milliseconds next() {
    std::uniform_int_distribution<std::int64_t> drawn(pause_.count() / 2, pause_.count());
    pause_ = std::min(kLongest, 2 * pause_);
    return std::chrono::milliseconds(drawn(random_));
  }

 private:
  static constexpr std::chrono::milliseconds kLongest{2000};

  Clock::time_point deadline_;
  std::mt19937 random_;
  std::chrono::milliseconds pause_{50};
};

}  // namespace fulgur
