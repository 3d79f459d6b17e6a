#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernels/stream.hpp"
#include "runtime/comm/local.hpp"

namespace fulgur::test {

using Group = std::vector<std::unique_ptr<Communicator>>;
using MakeGroup =
    std::function<Group(const std::string& name, int size, std::chrono::milliseconds timeout)>;
using RankBody = std::function<void(Communicator&, Stream&)>;

inline constexpr std::chrono::seconds kGenerous{30};

// Runs `body` once for each rank of the group, each on a thread and with a CPU stream of its own,
// and synchronizes the stream at its end. When a rank throws, the others are aborted and the
// exception that came first is thrown here.
inline void run_ranks(Group& group, const RankBody& body) {
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::thread> threads;
  threads.reserve(group.size());
  for (auto& communicator : group) {
    threads.emplace_back([&] {
      try {
        Stream stream(Device::kCpu);
        body(*communicator, stream);
        stream.synchronize();
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
        for (auto& other : group)
          other->abort();
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  if (first) std::rethrow_exception(first);
}

// The same with a new group of the local backend.
inline void run_ranks(int size, const RankBody& body) {
  Group group = make_local_group("test", size, kGenerous);
  run_ranks(group, body);
}

}  // namespace fulgur::test
