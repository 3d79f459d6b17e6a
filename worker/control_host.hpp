#pragma once

#include <filesystem>
#include <utility>

#include "runtime/train/host.hpp"
#include "worker/control_client.hpp"

namespace fulgur {

// What runtime/ asks of the process around it, answered over the control connection.
class ControlHost final : public Host {
 public:
  // `checkpoints` is the run's folder of checkpoints.
  ControlHost(ControlClient& client, std::filesystem::path checkpoints)
      : client_(client), checkpoints_(std::move(checkpoints)) {}

  bool stop_requested() override { return client_.stop_requested(); }
  void report(const StepReport& report) override;
  void occupies(std::int64_t bytes) override { client_.occupies(bytes); }
  void enter(const std::string& section) override { client_.enter(section); }
  void shard_written(const Manifest& manifest, int rank, const ShardRecord& shard) override;
  void shard_failed(std::int64_t step, int rank, const std::string& reason) override;
  bool wait_for_commit(std::int64_t step) override { return client_.wait_for_commit(step); }
  void print(const std::string& text) override { client_.send(Print{text}); }

 private:
  ControlClient& client_;
  std::filesystem::path checkpoints_;
};

}  // namespace fulgur
