#include "cluster/wire/connection.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/endian/conversion.hpp>
#include <utility>

#include "cluster/wire/frame.hpp"
#include "cluster/wire/secret.hpp"
#include "cluster/wire/wire_error.hpp"

namespace fulgur {

namespace asio = boost::asio;

namespace {

// A peer that is cut off is noticed within some ten seconds, by data that nobody acknowledges or by a probe
// that nobody answers: shorter cuts do not matter, longer ones close the connection. What cannot be set is left
// to the heartbeats.
void notice_silence(int socket) {
  const auto set = [socket](int level, int option, int value) {
    static_cast<void>(::setsockopt(socket, level, option, &value, sizeof value));
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 4);   // seconds
  set(IPPROTO_TCP, TCP_KEEPINTVL, 2);  // seconds
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 10'000);  // milliseconds
}

std::string seal(const std::string& key, std::uint64_t number, std::string_view text) {
  std::string numbered(sizeof(number), '\0');
  boost::endian::store_big_u64(reinterpret_cast<unsigned char*>(numbered.data()), number);
  numbered += text;
  return hmac(key, numbered);
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, WireRole role, SessionKeys keys)
    : socket_(std::move(socket)),
      drained_(socket_.get_executor(), asio::steady_timer::time_point::max()),
      send_key_(std::move(keys.from_worker)),
      receive_key_(std::move(keys.from_coordinator)) {
  if (role == WireRole::kCoordinator) std::swap(send_key_, receive_key_);
  boost::system::error_code ignored;  // only speed depends on it
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  notice_silence(socket_.native_handle());
}

asio::awaitable<Message> Connection::receive() {
  const auto frame = co_await read_frame(socket_, kMaxFrame);
  if (frame.size() < kDigestBytes)
    throw WireError(WireError::Kind::kMessage, "control connection: a frame without a seal");
  const auto text = std::string_view(frame).substr(kDigestBytes);
  const auto expected = seal(receive_key_, num_received_, text);
  if (!equal_in_constant_time(std::string_view(frame).substr(0, kDigestBytes), expected)) {
    throw WireError(
        WireError::Kind::kAuthentication,
        fmt::format("control connection: the seal of frame {} is wrong", num_received_));
  }
  ++num_received_;
  co_return decode(text);
}

void Connection::send(const Message& message) {
  const auto text = encode(message);
  if (text.size() + kDigestBytes > kMaxFrame) {
    throw std::invalid_argument(
        fmt::format("control connection: a {} of {} bytes is too long to send, expected at most {}",
                    type_name(message), text.size(), kMaxFrame - kDigestBytes));
  }
  if (!socket_.is_open()) return;
  queue_.push_back(seal(send_key_, num_sent_++, text) + text);
  if (writing_) return;
  writing_ = true;
  asio::co_spawn(
      socket_.get_executor(), [self = shared_from_this()] { return self->write_queue(); },
      asio::detached);
}

asio::awaitable<void> Connection::write_queue() {
  try {
    while (!queue_.empty()) {
      const auto frame = std::move(queue_.front());
      queue_.pop_front();
      co_await write_frame(socket_, frame);
    }
  } catch (const std::exception&) {
    queue_.clear();  // the reader sees the broken connection and says so
  }
  finish_queue();
}

void Connection::finish_queue() noexcept {
  writing_ = false;
  try {
    drained_.cancel();
  } catch (const std::exception&) {
    // A timer that cannot be cancelled leaves drain() to its caller's deadline.
  }
}

asio::awaitable<void> Connection::drain() {
  while (writing_) {
    boost::system::error_code cancelled;
    co_await drained_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
}

void Connection::close() noexcept {
  boost::system::error_code ignored;  // closing is all one can do
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace fulgur
