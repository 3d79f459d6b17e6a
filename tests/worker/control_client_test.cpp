#include "worker/control_client.hpp"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <thread>

#include "cluster/wire/connection.hpp"

using namespace fulgur;
namespace asio = boost::asio;

namespace {

// Lets a worker in, and waits until it leaves.
asio::awaitable<void> serve(asio::ip::tcp::socket socket, const WorkerEnvironment& environment,
                            std::string& result) {
  const Session session{.run_id = environment.run_id, .attempt = environment.attempt};
  auto introduced = co_await admit(socket, environment.secret, session, 4);
  const auto connection = std::make_shared<Connection>(std::move(socket), WireRole::kCoordinator,
                                                       std::move(introduced.keys));
  connection->send(Assignment{.task = "doctor", .rank = introduced.rank});
  const auto last = co_await connection->receive();
  result = std::get<Done>(last).result;
}

}  // namespace

TEST_SUITE("worker/control_client") {
  TEST_CASE("a worker whose connection is closed before it has proved itself knocks again") {
    asio::io_context io;
    asio::ip::tcp::acceptor door(io, {asio::ip::address_v4::loopback(), 0});
    WorkerEnvironment environment;
    environment.address = "127.0.0.1";
    environment.port = door.local_endpoint().port();
    environment.run_id = "run";
    environment.secret = std::string(32, 's');
    environment.rank = 3;
    int knocks = 0;
    std::string result;
    std::jthread coordinator([&] {
      for (; knocks < 3; ++knocks)
        door.accept().close();  // as the coordinator does when too many strangers are there
      asio::co_spawn(io, serve(door.accept(), environment, result), asio::detached);
      io.run();
    });
    ControlClient client(environment, [](Heartbeat&) {});
    CHECK(client.join().rank == 3);
    client.finish(Done{"complete"});
    coordinator.join();
    CHECK(knocks == 3);
    CHECK(result == "complete");
  }
}
