#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

namespace fulgur::test {

namespace asio = boost::asio;

// How long a test waits for what must happen.
inline constexpr std::chrono::seconds kGenerous{30};

using TcpPair = std::pair<asio::ip::tcp::socket, asio::ip::tcp::socket>;

// Two ends of one TCP connection on this host.
inline TcpPair connected_pair(asio::io_context& io) {
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  asio::ip::tcp::socket client(io);
  client.connect(acceptor.local_endpoint());
  return {acceptor.accept(), std::move(client)};
}

// What became of a coroutine: its value, or its exception.
template <class T>
struct Result {
  std::optional<T> value;
  std::exception_ptr error;

  T get() {
    if (error) std::rethrow_exception(error);
    return std::move(value.value());
  }
};

template <class T>
void start(asio::io_context& io, asio::awaitable<T> task, Result<T>& result) {
  asio::co_spawn(io, std::move(task), [&result](const std::exception_ptr& error, T value) {
    result.error = error;
    if (!error) result.value = std::move(value);
  });
}

}  // namespace fulgur::test
