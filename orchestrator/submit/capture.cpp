#include "orchestrator/submit/capture.hpp"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>

#include "cluster/launch/ssh.hpp"

namespace fulgur {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kLimit{30};

asio::awaitable<void> read_all(asio::posix::stream_descriptor& stream, std::string& text) {
  std::array<char, 4096> buffer{};
  boost::system::error_code ended;
  while (!ended) {
    const auto count = co_await stream.async_read_some(
        asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, ended));
    text.append(buffer.data(), count);
  }
}

asio::awaitable<void> wait_for(ChildProcess& child, asio::steady_timer& limit, ExitStatus& status) {
  status = co_await child.exited();
  limit.cancel();
}

asio::awaitable<void> kill_late(asio::steady_timer& limit, ChildProcess& child) {
  boost::system::error_code cancelled;
  co_await limit.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  if (!cancelled) child.signal(SIGKILL);
}

}  // namespace

Captured capture(const std::string& program, const std::vector<std::string>& arguments) {
  ProcessSpec spec;
  spec.program = find_program(program);
  spec.arguments = arguments;
  spec.pipe_output = spec.pipe_errors = true;
  asio::io_context io{1};
  Captured captured;
  asio::steady_timer limit(io, kLimit);
  ChildProcess child(io.get_executor(), spec);
  asio::co_spawn(io, read_all(child.output(), captured.output), asio::detached);
  asio::co_spawn(io, read_all(child.errors(), captured.errors), asio::detached);
  asio::co_spawn(io, wait_for(child, limit, captured.status), asio::detached);
  asio::co_spawn(io, kill_late(limit, child), asio::detached);
  io.run();
  return captured;
}

}  // namespace fulgur
