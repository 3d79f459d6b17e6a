#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <string>

#include "cluster/wire/messages.hpp"

namespace fulgur {

// Both ends prove that they know the secret of the run before anything else is said:
//
//   worker       Hello      magic, version, run id, attempt, rank, nonce
//   coordinator  Challenge  nonce, HMAC(coordinator key, transcript)
//   worker       Proof      HMAC(worker key, transcript)
//
// The transcript is the text of the Hello, a zero byte and the coordinator's nonce. The two keys are
// derived from the secret, one for each role, so no end's proof can be sent back to it; both nonces
// are new each time, so no old proof is of use. The keys that then seal the frames of the session
// (cluster/wire/connection.hpp) are derived from secret and transcript.

inline constexpr std::chrono::seconds kHandshakeLimit{2};

struct Session {
  std::string run_id;
  int attempt = 1;
};

struct SessionKeys {
  std::string from_worker;
  std::string from_coordinator;
};

// The worker's end. Throws WireError (kAuthentication: the coordinator refused, or does not know the
// secret), boost::system::system_error.
boost::asio::awaitable<SessionKeys> introduce(boost::asio::ip::tcp::socket& socket,
                                              const std::string& secret, const Session& session,
                                              int rank);

struct Introduced {
  int rank = -1;
  SessionKeys keys;
};

// The coordinator's end; refuses what is not of this session, and ranks outside [0, world). Throws
// WireError, boost::system::system_error.
boost::asio::awaitable<Introduced> admit(boost::asio::ip::tcp::socket& socket,
                                         const std::string& secret, const Session& session,
                                         int world);

}  // namespace fulgur
