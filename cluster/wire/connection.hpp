#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "cluster/wire/handshake.hpp"
#include "cluster/wire/messages.hpp"

namespace fulgur {

enum class WireRole { kWorker, kCoordinator };

// A control connection behind its handshake. A frame holds HMAC(key of the sender, number of the frame,
// text) and the text, so nobody in between can add, change, repeat or drop a message unseen.
//
// All calls come from the one thread of the socket's executor. Held by std::shared_ptr: what is still
// being written keeps the connection alive.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, WireRole role, SessionKeys keys);

  // One coroutine at a time. Throws WireError (kAuthentication: the seal is wrong),
  // boost::system::system_error.
  boost::asio::awaitable<Message> receive();

  // Queues the message and returns; messages leave in order. Nothing happens after a failed write: the
  // reader learns of it. Throws std::invalid_argument for a message beyond kMaxFrame.
  void send(const Message& message);

  // Waits until all that was queued is written, or cannot be.
  boost::asio::awaitable<void> drain();

  // Ends receive() and what is queued.
  void close() noexcept;

 private:
  boost::asio::awaitable<void> write_queue();
  void finish_queue() noexcept;

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer drained_;
  std::string send_key_;
  std::string receive_key_;
  std::uint64_t num_sent_ = 0;
  std::uint64_t num_received_ = 0;
  std::deque<std::string> queue_;
  bool writing_ = false;
};

}  // namespace fulgur
