#include "cluster/wire/frame.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/endian/conversion.hpp>
#include <cstdint>

#include "cluster/wire/wire_error.hpp"

namespace fulgur {

namespace asio = boost::asio;
namespace endian = boost::endian;

using Header = std::array<unsigned char, sizeof(std::uint32_t)>;

asio::awaitable<std::string> read_frame(asio::ip::tcp::socket& socket, std::size_t max_bytes) {
  Header header{};
  co_await asio::async_read(socket, asio::buffer(header), asio::use_awaitable);
  const std::size_t size = endian::load_big_u32(header.data());
  if (size > max_bytes) {
    throw WireError(WireError::Kind::kTooLarge,
                    fmt::format("control connection: a frame of {} bytes, expected at most {}",
                                size, max_bytes));
  }
  std::string bytes(size, '\0');
  co_await asio::async_read(socket, asio::buffer(bytes), asio::use_awaitable);
  co_return bytes;
}

asio::awaitable<void> write_frame(asio::ip::tcp::socket& socket, std::string_view bytes) {
  if (bytes.size() > kMaxFrame) {
    throw std::invalid_argument(
        fmt::format("control connection: a frame of {} bytes to send, expected at most {}",
                    bytes.size(), kMaxFrame));
  }
  std::string frame(sizeof(Header), '\0');
  endian::store_big_u32(reinterpret_cast<unsigned char*>(frame.data()),
                        static_cast<std::uint32_t>(bytes.size()));
  frame += bytes;
  co_await asio::async_write(socket, asio::buffer(frame), asio::use_awaitable);
}

}  // namespace fulgur
