#include "runtime/comm/memory_store.hpp"

#include <stdexcept>

#include "runtime/comm/communicator.hpp"

namespace fulgur {

void MemoryStore::set(std::string_view key, std::string_view value) {
  if (value.size() > kMaxStoreValueBytes) {
    throw std::invalid_argument("store: value of " + std::string(key) + ": expected at most " +
                                std::to_string(kMaxStoreValueBytes) + " bytes, got " +
                                std::to_string(value.size()));
  }
  const std::lock_guard lock(mutex_);
  values_.insert_or_assign(std::string(key), std::string(value));
  changed_.notify_all();
}

std::string MemoryStore::get(std::string_view key, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::unique_lock lock(mutex_);
  auto found = values_.end();
  const bool came = changed_.wait_until(lock, deadline, [&] {
    found = values_.find(key);
    return found != values_.end();
  });
  if (!came) {
    throw CommError(CommError::Kind::kTimeout, "store: key " + std::string(key) +
                                                   " was not set in " +
                                                   std::to_string(timeout.count()) + " ms");
  }
  return found->second;
}

}  // namespace fulgur
