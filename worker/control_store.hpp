#pragma once

#include "runtime/comm/communicator.hpp"
#include "runtime/comm/store.hpp"
#include "worker/control_client.hpp"

namespace fulgur {

// The run's table of strings, which the coordinator keeps.
class ControlStore final : public Store {
 public:
  explicit ControlStore(ControlClient& client) : client_(client) {}

  void set(std::string_view key, std::string_view value) override;
  std::string get(std::string_view key, std::chrono::milliseconds timeout) override;

 private:
  ControlClient& client_;
};

}  // namespace fulgur
