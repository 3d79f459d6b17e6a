#pragma once

#include "kernels/memory.hpp"
#include "kernels/stream.hpp"

namespace fulgur {

// What an operation made of several kernels needs: where work is queued, and where its tensors come from. Tensors that
// the backward pass needs are allocated first and live until the caller's Arena::Scope ends; temporaries
// lie in a Scope of the operation's own.
struct Context {
  Stream& stream;
  Arena& arena;
};

}  // namespace fulgur
