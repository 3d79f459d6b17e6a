#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace fulgur {

// A small table of strings that all ranks of a run share: how they find each other (UCX addresses,
// NCCL ids). Not for tensors: a value has at most 1 MiB.
class Store {
 public:
  virtual ~Store() = default;
  virtual void set(std::string_view key, std::string_view value) = 0;
  // Waits for the key. Throws CommError::Kind::kTimeout, naming the key, after `timeout`.
  virtual std::string get(std::string_view key, std::chrono::milliseconds timeout) = 0;
};

}  // namespace fulgur
