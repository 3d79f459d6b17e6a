#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/comm/local.hpp"
#include "runtime/parallel/mesh.hpp"

namespace fulgur::test {

// The groups of a world whose ranks are threads.
class ThreadGroups {
 public:
  MakeGroup make_group() {
    return [this](const std::string& name, int rank, int size) {
      const std::lock_guard lock(mutex_);
      if (ended_) throw CommError(CommError::Kind::kPeerLost, "another rank has failed");
      auto& group = groups_[name];
      if (group.empty()) group = make_local_group(name, size, std::chrono::seconds(60));
      return std::move(group.at(static_cast<std::size_t>(rank)));
    };
  }

  // What no rank has taken yet goes, so that nobody waits for it.
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    groups_.clear();
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<std::unique_ptr<Communicator>>> groups_;  // guarded by mutex_
  bool ended_ = false;                                                        // guarded by mutex_
};

// Runs `body` once for each rank, each on a thread. Rethrows the exception that came first; what a rank
// owns goes with it, so the others see that it is lost.
inline void run_world(int size, const std::function<void(Rank, const MakeGroup&)>& body) {
  ThreadGroups groups;
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        body(Rank{rank}, groups.make_group());
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
        groups.end();
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace fulgur::test
