#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace fulgur {

// Finds out when tasks run that are queued on streams and wait for each other, as kernels/stream.hpp has
// them: a stream does its tasks in the order in which they were added; a task begins when its stream is
// free and all that it waits for has ended.
class StreamSchedule {
 public:
  struct Task {
    int stream = 0;
    double begin = 0, end = 0;
    double waited = 0;      // after its stream was free
    int waited_stream = 0;  // of the task that it waited for the longest
  };

  explicit StreamSchedule(int num_streams) : free_(static_cast<std::size_t>(num_streams)) {}

  // Returns the number of the task; `after` are numbers of earlier ones, negative ones count for nothing.
  int add(int stream, double seconds, std::span<const int> after = {});

  const Task& task(int number) const { return tasks_[static_cast<std::size_t>(number)]; }
  double free_at(int stream) const { return free_[static_cast<std::size_t>(stream)]; }

 private:
  std::vector<double> free_;  // [streams]
  std::vector<Task> tasks_;
};

}  // namespace fulgur
