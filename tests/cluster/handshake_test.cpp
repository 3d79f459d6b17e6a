#include "cluster/wire/handshake.hpp"

#include <doctest/doctest.h>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <string>

#include "cluster/wire/deadline.hpp"
#include "cluster/wire/frame.hpp"
#include "cluster/wire/secret.hpp"
#include "cluster/wire/wire_error.hpp"
#include "tests/cluster/loopback.hpp"

using namespace fulgur;
using namespace fulgur::test;

namespace {

const std::string kSecret(kSecretBytes, 's');
const Session kSession{.run_id = "run", .attempt = 1};

struct Meeting {
  Result<Introduced> coordinator;
  Result<SessionKeys> worker;
};

Meeting meet(const std::string& coordinator_secret, const std::string& worker_secret,
             const Session& worker_session, int rank) {
  asio::io_context io;
  auto [server, client] = connected_pair(io);
  Meeting meeting;
  const auto close_after = [](auto task, auto& socket) -> decltype(task) {
    try {
      co_return co_await std::move(task);
    } catch (...) {
      socket.close();
      throw;
    }
  };
  start(io, close_after(admit(server, coordinator_secret, kSession, 4), server),
        meeting.coordinator);
  start(io, close_after(introduce(client, worker_secret, worker_session, rank), client),
        meeting.worker);
  io.run_for(kGenerous);
  return meeting;
}

WireError::Kind kind_of(std::exception_ptr error) {
  try {
    REQUIRE(error != nullptr);
    std::rethrow_exception(error);
  } catch (const WireError& wire) {
    return wire.kind();
  }
}

// Sends raw bytes to a coordinator and returns how it ended.
std::exception_ptr admit_bytes(const std::string& bytes,
                               std::chrono::milliseconds limit = std::chrono::seconds(30)) {
  asio::io_context io;
  auto [server, client] = connected_pair(io);
  Result<Introduced> result;
  start(io, within(limit, "handshake", admit(server, kSecret, kSession, 4)), result);
  asio::write(client, asio::buffer(bytes));
  io.run_for(kGenerous);
  return result.error;
}

}  // namespace

TEST_SUITE("cluster/wire/handshake") {
  TEST_CASE("two ends with the same secret agree on rank and keys") {
    auto meeting = meet(kSecret, kSecret, kSession, 3);
    const auto introduced = meeting.coordinator.get();
    const auto keys = meeting.worker.get();
    CHECK(introduced.rank == 3);
    CHECK(introduced.keys.from_worker == keys.from_worker);
    CHECK(introduced.keys.from_coordinator == keys.from_coordinator);
    CHECK(keys.from_worker != keys.from_coordinator);
    auto again = meet(kSecret, kSecret, kSession, 3);
    CHECK(again.worker.get().from_worker != keys.from_worker);
  }

  TEST_CASE(
      "a coordinator with another secret is found out by the worker, and nothing is proved to it") {
    auto meeting = meet(std::string(kSecretBytes, 'x'), kSecret, kSession, 0);
    CHECK(kind_of(meeting.worker.error) == WireError::Kind::kAuthentication);
    CHECK(meeting.coordinator.error != nullptr);  // the worker hung up
  }

  TEST_CASE("a worker that does not know the secret is refused") {
    asio::io_context io;
    auto [server, client] = connected_pair(io);
    Result<Introduced> result;
    start(io, admit(server, kSecret, kSession, 4), result);
    Result<bool> intruder;
    const auto intrude = [](asio::ip::tcp::socket& socket) -> asio::awaitable<bool> {
      const std::string hello =
          encode(Hello{"fulgur", kWireVersion, "run", 1, 0, std::string(64, '0')});
      co_await write_frame(socket, hello);
      const auto challenge = std::get<Challenge>(decode(co_await read_frame(socket, 4096)));
      // The coordinator's own proof is no worker's proof.
      const std::string proof = encode(Proof{challenge.proof});
      co_await write_frame(socket, proof);
      co_return true;
    };
    start(io, intrude(client), intruder);
    io.run_for(kGenerous);
    CHECK(intruder.get());
    CHECK(kind_of(result.error) == WireError::Kind::kAuthentication);
  }

  TEST_CASE("a recorded handshake is of no use a second time") {
    asio::io_context io;
    auto outer = connected_pair(io);
    // Between the two: copies what the worker sends.
    auto inner = connected_pair(io);
    std::vector<std::string> recorded;
    const auto relay = [&]() -> asio::awaitable<bool> {
      for (int i = 0; i < 2; ++i) {
        recorded.push_back(co_await read_frame(outer.first, kMaxHandshakeFrame));
        co_await write_frame(inner.second, recorded.back());
        if (i == 0) {
          const auto challenge = co_await read_frame(inner.second, kMaxHandshakeFrame);
          co_await write_frame(outer.first, challenge);
        }
      }
      co_return true;
    };
    Result<Introduced> first;
    Result<SessionKeys> worker;
    Result<bool> relayed;
    start(io, admit(inner.first, kSecret, kSession, 4), first);
    start(io, introduce(outer.second, kSecret, kSession, 1), worker);
    start(io, relay(), relayed);
    io.run_for(kGenerous);
    REQUIRE(relayed.get());
    CHECK(first.get().rank == 1);

    std::string replay;
    for (const auto& frame : recorded) {
      const auto size = static_cast<unsigned>(frame.size());
      replay += {static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                 static_cast<char>(size >> 8), static_cast<char>(size)};
      replay += frame;
    }
    CHECK(kind_of(admit_bytes(replay)) == WireError::Kind::kAuthentication);
  }

  TEST_CASE("a worker of another run, another attempt or a rank outside the world is told why") {
    struct Case {
      Session session;
      int rank;
      const char* reason;
    };
    for (const auto& [session, rank, reason] :
         {Case{{.run_id = "other", .attempt = 1}, 0, "it belongs to another run"},
          Case{{.run_id = "run", .attempt = 2}, 0, "attempt 2 of the run, this is attempt 1"},
          Case{kSession, 4, "rank 4 is not in a world of 4"}}) {
      auto meeting = meet(kSecret, kSecret, session, rank);
      CHECK(kind_of(meeting.coordinator.error) == WireError::Kind::kAuthentication);
      CHECK_THROWS_WITH_AS(meeting.worker.get(), doctest::Contains(reason), WireError);
    }
  }

  TEST_CASE("bytes of another protocol are refused") {
    CHECK(kind_of(admit_bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) == WireError::Kind::kTooLarge);
    CHECK(kind_of(admit_bytes(std::string("\0\0\0\4junk", 8))) == WireError::Kind::kMessage);
    CHECK(kind_of(admit_bytes(std::string("\0\1\0\1", 4))) == WireError::Kind::kTooLarge);
    const auto early = encode(Stop{});
    const std::string frame = std::string(3, '\0') + static_cast<char>(early.size()) + early;
    CHECK(kind_of(admit_bytes(frame)) == WireError::Kind::kMessage);
  }

  TEST_CASE("a peer that says nothing is dropped at the deadline") {
    CHECK(kind_of(admit_bytes(std::string("\0\0\0", 3), std::chrono::milliseconds(50))) ==
          WireError::Kind::kTimeout);
  }
}
