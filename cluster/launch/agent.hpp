#pragma once

#include "cluster/launch/invitation.hpp"

namespace fulgur {

// The agent of a node: joins the launcher that invited it, starts this node's workers when it is told to,
// passes signals to them, and sends back what they write and how they end.
//
// It ends, and its workers with it, when the launcher says so, when the connection to the launcher
// breaks, and when `lifeline` (its stdin, which ssh closes when the connection dies) comes to its end; -1:
// it has none. SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 are told to the launcher, which makes all
// ranks stop together.
//
// Returns the exit code: kExitDone, kExitUnavailable when the launcher cannot be reached for a minute,
// kExitAuthentication when the two do not know the same secret. Call it from the main thread: workers end
// with the thread that started them.
int run_agent(const Invitation& invitation, int lifeline);

}  // namespace fulgur
