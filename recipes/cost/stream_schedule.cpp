#include "recipes/cost/stream_schedule.hpp"

namespace fulgur {

int StreamSchedule::add(int stream, double seconds, std::span<const int> after) {
  auto& free = free_[static_cast<std::size_t>(stream)];
  Task added{.stream = stream, .begin = free, .waited_stream = stream};
  for (const int number : after) {
    if (number < 0) continue;
    const auto& other = task(number);
    if (other.end <= added.begin) continue;
    added.begin = other.end;
    added.waited_stream = other.stream;
  }
  added.waited = added.begin - free;
  added.end = added.begin + seconds;
  free = added.end;
  tasks_.push_back(added);
  return static_cast<int>(tasks_.size()) - 1;
}

}  // namespace fulgur
