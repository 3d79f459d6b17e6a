#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/checkpoint/folders.hpp"
#include "runtime/checkpoint/writer.hpp"
#include "runtime/train/trainer.hpp"
#include "tests/support/thread_groups.hpp"

namespace fulgur::test {

// The coordinator's part of a run whose ranks are threads: collects reports, commits checkpoints when
// all shards are there, and asks for a stop after a given step.
class ThreadHost final : public Host {
 public:
  ThreadHost(const Job& job, int ranks)
      : root_(std::filesystem::path(job.run_directory) / "checkpoints"),
        ranks_(ranks),
        keep_(job.checkpoint.keep) {}

  std::int64_t stop_after = -1;  // the step behind which stop_requested() is true

  bool stop_requested() override {
    const std::lock_guard lock(mutex_);
    return stop_after >= 0 && num_steps_ + 1 >= stop_after;
  }
  void report(const StepReport& report) override {
    const std::lock_guard lock(mutex_);
    reports_.push_back(report);
    num_steps_ = report.step;
  }
  void occupies(std::int64_t) override {}
  void enter(const std::string&) override {}
  void print(const std::string& text) override { printed_ += text; }

  void shard_written(const Manifest& manifest, int rank, const ShardRecord& shard) override {
    const std::lock_guard lock(mutex_);
    auto& pending = pending_[manifest.step];
    pending[rank] = shard;
    if (static_cast<int>(pending.size()) < ranks_) return;
    auto whole = manifest;
    for (const auto& [_, record] : pending)
      whole.shards.push_back(record);
    commit_checkpoint(root_, staging_folder(root_, manifest.step), whole, keep_);
    finished_[manifest.step] = true;
    changed_.notify_all();
  }
  void shard_failed(std::int64_t step, int, const std::string& reason) override {
    const std::lock_guard lock(mutex_);
    failures_.push_back(reason);
    finished_[step] = false;
    changed_.notify_all();
  }
  bool wait_for_commit(std::int64_t step) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_.contains(step); });
    return finished_.at(step);
  }

  std::vector<StepReport> reports() const { return reports_; }
  std::vector<std::string> failures() const { return failures_; }
  const std::string& printed() const { return printed_; }

 private:
  std::filesystem::path root_;
  int ranks_;
  std::int64_t keep_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<StepReport> reports_;                             // guarded by mutex_
  std::int64_t num_steps_ = 0;                                  // guarded by mutex_
  std::map<std::int64_t, std::map<int, ShardRecord>> pending_;  // guarded by mutex_
  std::map<std::int64_t, bool> finished_;                       // guarded by mutex_
  std::vector<std::string> failures_;                           // guarded by mutex_
  std::string printed_;
};

// Trains the job with one thread per rank and returns what rank 0 reported. Rethrows the first failure.
inline std::vector<StepReport> train_on_threads(
    const Job& job, ThreadHost& host,
    const std::optional<std::filesystem::path>& resume = std::nullopt) {
  run_world(world_size(job.layout), [&](Rank rank, const MakeGroup& make_group) {
    fulgur::train(job, {.rank = rank, .make_group = make_group}, resume, host);
  });
  return host.reports();
}

}  // namespace fulgur::test
