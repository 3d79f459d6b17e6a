#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recipes/pipeline/messages.hpp"
#include "recipes/pipeline/schedule.hpp"

namespace fulgur::test {

// What all stages of a pipeline are going to do.
struct PipelineProgram {
  PipelineShape shape;
  std::vector<std::vector<Pass>> passes;  // [stages]
  // [stages][4] by PipeEnd
  std::vector<std::vector<std::vector<Message>>> messages;
};

// As the functions under test give it.
PipelineProgram program_of(const PipelineShape& shape);

// Every shape of the grid: 1 to 8 stages, 1 to 4 virtual stages, 1 to 24 micro-batches.
std::vector<PipelineShape> grid_of(PipelineSchedule schedule);

std::string to_string(const PipelineShape& shape);

// The buffers at the ends of each pipe. A message moves when it has been made and a buffer of the
// receiver is free. A pass does not begin before a buffer of each pipe that it sends into is free; it
// frees that of the message it received when it ends.
struct Buffers {
  int send = 1;
  int receive = 1;
};

struct Verdict {
  std::string problem;              // what is wrong; empty: nothing
  std::int64_t makespan = 0;        // from the first pass of any stage to the end of the last one
  std::vector<int> most_in_flight;  // [stages] micro-batches times pieces from forward to last pass
};

// Finds out whether every pass stands there exactly once, in an order that its stage allows, whether
// each message is what the other end expects, whether all passes can be done, and how long that takes at costs 1 for a forward and 2 = 1 + 1 for a backward.
inline constexpr Buffers kPlenty{1 << 20, 1 << 20};
Verdict check(const PipelineProgram& program, const Buffers& buffers = kPlenty);

}  // namespace fulgur::test
