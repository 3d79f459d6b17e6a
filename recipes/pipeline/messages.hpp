#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "recipes/pipeline/schedule.hpp"

namespace fulgur {

// How micro-batches travel between stages. The stages form a ring; between two neighbours of it run two
// pipes, each a communicator of two ranks that carries one kind of message in one direction:
//
//   activations   stage s -> stage s+1      outputs of forwards
//   gradients     stage s+1 -> stage s      gradients of inputs
//
// with s+1 counted modulo the stages. The last stage's pipe to stage 0 carries what goes on to the next
// virtual stage, and is there only with virtual stages.
//
// Why a communicator for each pipe: sends and receives of a pair of ranks match in call order, and the
// operations of a communicator run in call order. On a shared one the receive of the next micro-batch
// would wait for the send of this one, and two stages that send to each other, activations one way and
// gradients the other, would wait for ever; with two stages the messages of the ring's two sides would
// also mix. On a pipe of its own, with a stream of its own, a message waits only for those before it,
// and the n-th send is the n-th receive: all stages keep one order of forwards and one of backwards.
//
// A receive is posted as soon as it has a buffer, not when its pass comes: else the virtual stages of
// unequal groups of micro-batches could wait for ever. One buffer at each end of a pipe is enough for
// that, if a pass waits for the send of the message before its own; with two buffers at each end no pass
// is later than with any number of them. The tests show both for all shapes up to 8 stages.
//
// One stage has no pipes: it hands on the tensors of its own pieces.

// The four ends of pipes that a stage has.
enum class PipeEnd { kActivationsIn, kActivationsOut, kGradientsIn, kGradientsOut };

// The stage at the other end of the pipe.
int peer_stage(const PipelineShape& shape, int stage, PipeEnd end);

// What goes through the pipe at its place in the order: the message belongs to passes[pass], which sends
// it when it is done, or waits for it.
struct Message {
  int micro_batch = 0;
  int piece = 0;  // of the model, that has made it: output of its forward, gradient of its input
  std::size_t pass = 0;  // in the schedule of this stage

  friend bool operator==(const Message&, const Message&) = default;
};

// All messages through one end of a pipe in the order in which they are to be posted; empty where there
// is no pipe. `passes` is pipeline_schedule(shape, stage).
std::vector<Message> pipe_messages(const PipelineShape& shape, int stage,
                                   std::span<const Pass> passes, PipeEnd end);

}  // namespace fulgur
