#include "worker/control_store.hpp"

#include <fmt/format.h>

namespace fulgur {

void ControlStore::set(std::string_view key, std::string_view value) {
  if (value.size() > kMaxStoreValueBytes) {
    throw std::invalid_argument(fmt::format("store: {}: a value of {} bytes, expected at most {}",
                                            key, value.size(), kMaxStoreValueBytes));
  }
  client_.set_value(key, value);
}

std::string ControlStore::get(std::string_view key, std::chrono::milliseconds timeout) {
  auto value = client_.get_value(key, timeout);
  if (!value) {
    throw CommError(CommError::Kind::kTimeout,
                    fmt::format("store: {} was not set within {} ms", key, timeout.count()));
  }
  return *std::move(value);
}

}  // namespace fulgur
