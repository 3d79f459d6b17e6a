#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace fulgur {

inline constexpr std::size_t kMaxStoreValueBytes = std::size_t{1} << 20;

// A small table of strings that all ranks of a run share: how they find each other (UCX addresses,
// NCCL ids). Not for tensors: a value has at most kMaxStoreValueBytes.
class Store {
 public:
  Store() = default;
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  virtual void set(std::string_view key, std::string_view value) = 0;
  // Waits for the key. Throws CommError::Kind::kTimeout, naming the key, after `timeout`.
  virtual std::string get(std::string_view key, std::chrono::milliseconds timeout) = 0;
};

}  // namespace fulgur
