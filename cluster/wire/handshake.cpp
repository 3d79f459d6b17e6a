#include "cluster/wire/handshake.hpp"

#include <fmt/format.h>

#include "cluster/wire/frame.hpp"
#include "cluster/wire/secret.hpp"
#include "cluster/wire/text.hpp"
#include "cluster/wire/wire_error.hpp"

namespace fulgur {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kNonceBytes = 32;

[[noreturn]] void deny(const std::string& reason) {
  throw WireError(WireError::Kind::kAuthentication, "control connection: " + reason);
}

template <class T>
T expect(const std::string& frame) {
  auto message = decode(frame);
  if (const auto* refused = std::get_if<Refused>(&message))
    deny("the coordinator refused this worker: " + refused->reason);
  auto* wanted = std::get_if<T>(&message);
  if (wanted == nullptr) {
    throw WireError(WireError::Kind::kMessage,
                    fmt::format("control connection: {} came during the handshake, expected {}",
                                type_name(message), type_name(Message{T{}})));
  }
  return std::move(*wanted);
}

struct Transcript {
  std::string secret;
  std::string text;

  std::string proof_of(std::string_view role) const {
    return to_hex(
        hmac(derive_key(secret, kWireMagic, fmt::format("fulgur 1 proof of {}", role)), text));
  }
  SessionKeys keys() const {
    return {.from_worker = derive_key(secret, text, "fulgur 1 frames from worker"),
            .from_coordinator = derive_key(secret, text, "fulgur 1 frames from coordinator")};
  }
};

Transcript make_transcript(const std::string& secret, const std::string& hello,
                           const std::string& nonce) {
  return {secret, hello + '\0' + nonce};
}

// Why the coordinator does not want this worker; empty when it does.
std::string objection(const Hello& hello, const Session& session, int world) {
  if (hello.magic != kWireMagic) return "this is no fulgur-worker";
  if (hello.version != kWireVersion) {
    return fmt::format("it speaks version {} of the protocol, the coordinator version {}",
                       hello.version, kWireVersion);
  }
  if (hello.run_id != session.run_id) return "it belongs to another run";
  if (hello.attempt != session.attempt) {
    return fmt::format("it belongs to attempt {} of the run, this is attempt {}", hello.attempt,
                       session.attempt);
  }
  if (hello.rank < 0 || hello.rank >= world)
    return fmt::format("rank {} is not in a world of {}", hello.rank, world);
  if (hello.nonce.size() != 2 * kNonceBytes) return "its nonce has the wrong length";
  return {};
}

}  // namespace

asio::awaitable<SessionKeys> introduce(asio::ip::tcp::socket& socket, const std::string& secret,
                                       const Session& session, int rank) {
  Hello mine;
  mine.magic = kWireMagic;
  mine.version = kWireVersion;
  mine.run_id = session.run_id;
  mine.attempt = session.attempt;
  mine.rank = rank;
  mine.nonce = to_hex(random_bytes(kNonceBytes));
  const auto hello = encode(mine);
  co_await write_frame(socket, hello);
  const auto challenge = expect<Challenge>(co_await read_frame(socket, kMaxHandshakeFrame));
  const auto transcript = make_transcript(secret, hello, challenge.nonce);
  if (!equal_in_constant_time(challenge.proof, transcript.proof_of("coordinator")))
    deny("the coordinator does not know the secret of this run");
  const auto proof = encode(Proof{transcript.proof_of("worker")});
  co_await write_frame(socket, proof);
  co_return transcript.keys();
}

asio::awaitable<Introduced> admit(asio::ip::tcp::socket& socket, const std::string& secret,
                                  const Session& session, int world) {
  const auto hello_text = co_await read_frame(socket, kMaxHandshakeFrame);
  const auto hello = expect<Hello>(hello_text);
  if (const auto reason = objection(hello, session, world); !reason.empty()) {
    const auto refusal = encode(Refused{reason});
    co_await write_frame(socket, refusal);
    deny("a worker was refused: " + reason);
  }
  const auto nonce = to_hex(random_bytes(kNonceBytes));
  const auto transcript = make_transcript(secret, hello_text, nonce);
  const auto challenge = encode(Challenge{nonce, transcript.proof_of("coordinator")});
  co_await write_frame(socket, challenge);
  const auto proof = expect<Proof>(co_await read_frame(socket, kMaxHandshakeFrame));
  if (!equal_in_constant_time(proof.proof, transcript.proof_of("worker")))
    deny("a peer that calls itself rank " + std::to_string(hello.rank) +
         " does not know the secret of this run");
  co_return Introduced{.rank = static_cast<int>(hello.rank), .keys = transcript.keys()};
}

}  // namespace fulgur
