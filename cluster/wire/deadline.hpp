#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "cluster/wire/wire_error.hpp"

namespace fulgur {

// Waits for `operation`, but no longer than `limit`: then it is cancelled and WireError::Kind::kTimeout
// is thrown, with `what` in the message. An exception of the operation is thrown on at once.
template <class T>
boost::asio::awaitable<T> within(std::chrono::steady_clock::duration limit, std::string what,
                                 boost::asio::awaitable<T> operation) {
  using boost::asio::experimental::awaitable_operators::operator||;
  // `a || b` goes on waiting for b when a throws; so a must not throw.
  struct Outcome {
    std::optional<T> value;
    std::exception_ptr error;
  };
  const auto caught = [](boost::asio::awaitable<T> inner) -> boost::asio::awaitable<Outcome> {
    Outcome outcome;
    try {
      outcome.value = co_await std::move(inner);
    } catch (...) {
      outcome.error = std::current_exception();
    }
    co_return outcome;
  };
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, limit);
  auto first =
      co_await (caught(std::move(operation)) || timer.async_wait(boost::asio::use_awaitable));
  auto* outcome = std::get_if<0>(&first);
  if (outcome == nullptr) throw WireError(WireError::Kind::kTimeout, what + ": no answer in time");
  if (outcome->error) std::rethrow_exception(outcome->error);
  co_return std::move(*outcome->value);
}

}  // namespace fulgur
