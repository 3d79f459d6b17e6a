#pragma once

#include <cstdint>

#include "runtime/comm/communicator.hpp"

namespace fulgur {

// Over which ranks the experts of a layer lie, as one rank sees it (docs/math.md 2.4). The stage
// has edp x ep x etp ranks, the rightmost axis fastest, and these are the same as dp x cp x tp.
// Rank (ep, etp) of a block of ep x etp ranks holds the experts ep E/ep .. (ep+1) E/ep - 1, and of
// each of them the inner columns etp F/etp .. (etp+1) F/etp - 1; the edp blocks are copies.
//
// Everything named here outlives its users. The two streams are on the device of the compute
// stream; they are not used when ep = etp = 1.
struct ExpertGroups {
  Communicator& stage;  // all ranks that work on the same layers
  Communicator& ep;     // in the order of ep: the ranks of a block with the same etp
  Communicator& etp;    // in the order of etp: the ranks of a block with the same ep
  Stream& ep_stream;
  Stream& etp_stream;
  std::int64_t token_groups =
      1;  // into which the tokens are cut for overlap; the same on every rank

  // Is there anybody to exchange rows with?
  bool are_apart() const noexcept { return ep.size() * etp.size() > 1; }
};

}  // namespace fulgur
