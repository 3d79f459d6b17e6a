#pragma once

#include "kernels/stream.hpp"
#include "recipes/job.hpp"
#include "runtime/comm/communicator.hpp"

namespace fulgur {

// The cp ranks that share the sequences, this rank's place in them, and the stream of what they
// exchange beside the calculation. Its order is that of the chunks: rank r of `ranks` has cp = r in
// recipes/token_runs.hpp.
struct ContextGroup {
  Communicator& ranks;
  Stream& stream;
  LightningContext lightning = LightningContext::kLaspPlus;  // how lightning states travel
};

}  // namespace fulgur
