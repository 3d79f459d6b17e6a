#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <string>
#include <string_view>

namespace fulgur {

// A frame is its length, as a big-endian u32, and that many bytes.

inline constexpr std::size_t kMaxHandshakeFrame = std::size_t{64} << 10;
inline constexpr std::size_t kMaxFrame = std::size_t{4} << 20;

// The length is checked before memory for it is taken. Throws WireError::Kind::kTooLarge,
// boost::system::system_error (also asio::error::eof).
boost::asio::awaitable<std::string> read_frame(boost::asio::ip::tcp::socket& socket,
                                               std::size_t max_bytes);

// Throws std::invalid_argument for more than kMaxFrame bytes, boost::system::system_error.
boost::asio::awaitable<void> write_frame(boost::asio::ip::tcp::socket& socket,
                                         std::string_view bytes);

}  // namespace fulgur
