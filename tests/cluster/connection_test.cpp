#include "cluster/wire/connection.hpp"

#include <doctest/doctest.h>

#include <boost/asio/write.hpp>
#include <memory>
#include <string>

#include "cluster/wire/frame.hpp"
#include "cluster/wire/secret.hpp"
#include "cluster/wire/wire_error.hpp"
#include "tests/cluster/loopback.hpp"

using namespace fulgur;
using namespace fulgur::test;

namespace {

const SessionKeys kKeys{.from_worker = std::string(kDigestBytes, 'w'),
                        .from_coordinator = std::string(kDigestBytes, 'c')};

asio::awaitable<std::vector<Message>> receive(std::shared_ptr<Connection> connection, int count) {
  std::vector<Message> messages;
  messages.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    messages.push_back(co_await connection->receive());
  co_return messages;
}

}  // namespace

TEST_SUITE("cluster/wire/connection") {
  TEST_CASE("messages arrive in the order in which they were sent, in both directions") {
    asio::io_context io;
    auto [server, client] = connected_pair(io);
    const auto coordinator =
        std::make_shared<Connection>(std::move(server), WireRole::kCoordinator, kKeys);
    const auto worker = std::make_shared<Connection>(std::move(client), WireRole::kWorker, kKeys);
    constexpr int kCount = 100;
    for (int i = 0; i < kCount; ++i) {
      worker->send(Print{std::string(static_cast<std::size_t>(i) * 997, 'x')});
      coordinator->send(Committed{.step = i, .ok = true});
    }
    Result<std::vector<Message>> prints;
    Result<std::vector<Message>> commits;
    start(io, receive(coordinator, kCount), prints);
    start(io, receive(worker, kCount), commits);
    io.run_for(kGenerous);
    const auto printed = prints.get();
    const auto committed = commits.get();
    for (int i = 0; i < kCount; ++i) {
      const auto at = static_cast<std::size_t>(i);
      CHECK(std::get<Print>(printed[at]).text.size() == at * 997);
      CHECK(std::get<Committed>(committed[at]).step == i);
    }
  }

  TEST_CASE("a frame that is changed, repeated or sent back is not taken for a message") {
    asio::io_context io;
    const auto record = [&io](WireRole role) {
      auto [server, client] = connected_pair(io);
      std::make_shared<Connection>(std::move(client), role, kKeys)->send(Stop{});
      Result<std::string> frame;
      start(io, read_frame(server, kMaxFrame), frame);
      io.run_for(kGenerous);
      io.restart();
      return frame.get();
    };
    const auto fate = [&io](const std::vector<std::string>& frames) {
      auto [server, client] = connected_pair(io);
      const auto connection =
          std::make_shared<Connection>(std::move(server), WireRole::kCoordinator, kKeys);
      Result<std::vector<Message>> received;
      start(io, receive(connection, static_cast<int>(frames.size())), received);
      const auto write = [&, socket = &client]() -> asio::awaitable<bool> {
        for (const auto& frame : frames)
          co_await write_frame(*socket, frame);
        co_return true;
      };
      Result<bool> written;
      start(io, write(), written);
      io.run_for(kGenerous);
      io.restart();
      return received;
    };
    const auto genuine = record(WireRole::kWorker);
    auto accepted = fate({genuine});
    CHECK(accepted.get().size() == 1);
    auto changed = genuine;
    changed.back() ^= 1;
    for (const auto& frames : {std::vector{changed}, std::vector{genuine, genuine},
                               std::vector{record(WireRole::kCoordinator)},
                               std::vector{genuine.substr(0, kDigestBytes - 1)}}) {
      auto refused = fate(frames);
      CHECK_THROWS_AS(refused.get(), WireError);
    }
  }

  TEST_CASE("a length beyond the bound is refused before its bytes are awaited") {
    asio::io_context io;
    auto [server, client] = connected_pair(io);
    const auto connection =
        std::make_shared<Connection>(std::move(server), WireRole::kCoordinator, kKeys);
    Result<std::vector<Message>> received;
    start(io, receive(connection, 1), received);
    asio::write(client, asio::buffer(std::string("\xff\xff\xff\xff", 4)));
    io.run_for(kGenerous);
    CHECK_THROWS_WITH_AS(received.get(), doctest::Contains("4294967295"), WireError);
  }

  TEST_CASE("a message that no frame holds is refused by the sender") {
    asio::io_context io;
    auto [server, client] = connected_pair(io);
    const auto connection =
        std::make_shared<Connection>(std::move(server), WireRole::kCoordinator, kKeys);
    CHECK_THROWS_AS(connection->send(Print{std::string(kMaxFrame, 'x')}), std::invalid_argument);
  }

  TEST_CASE("drain returns when everything is written, and when the peer has gone") {
    for (const bool gone : {false, true}) {
      asio::io_context io;
      auto [server, client] = connected_pair(io);
      const auto connection =
          std::make_shared<Connection>(std::move(server), WireRole::kCoordinator, kKeys);
      if (gone) client.close();
      for (int i = 0; i < 10; ++i)
        connection->send(Print{std::string(1 << 16, 'x')});
      Result<bool> drained;
      const auto wait = [&]() -> asio::awaitable<bool> {
        co_await connection->drain();
        co_return true;
      };
      start(io, wait(), drained);
      io.run_for(kGenerous);
      CHECK(drained.get());
    }
  }
}
